package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// patience is how long a test waits for another process before it fails.
const patience = 40 * time.Second

// running is a `multisite up` in a process of its own, and how a test deals with it.
type running struct {
	t    testing.TB
	dir  string // where its sites.toml is, and everything it writes
	addr string // of its front door
	pid  int
	out  *screen // what it printed
	log  *screen // and logged
	end  *end

	program string     // that is not the test binary itself
	flags   []string   // of `multisite up`
	env     []string   // that it has beside the test's
	files   []*os.File // sockets that it is handed
	wrap    []string   // the command that runs it
}

// end is how the process ended, once ch is closed.
type end struct {
	ch  chan struct{}
	err error
}

// up starts a supervisor for a sites.toml in a directory of its own. At the end
// of the test it goes down, and must leave nothing.
func up(t testing.TB, sites string) *running {
	t.Helper()
	r := &running{t: t, dir: newDir(t, sites), out: &screen{}, log: &screen{}}
	r.start()
	t.Cleanup(r.finish)
	return r
}

// in returns r for a part of its test.
func (r *running) in(t *testing.T) *running {
	part := *r
	part.t = t
	return &part
}

// start runs `multisite up` and returns when it says how its sites are.
func (r *running) start() {
	r.t.Helper()
	r.begin()
	eventually(r.t, "multisite up to print its sites", func() bool {
		return r.hasEnded() || strings.Contains(r.out.String(), "http://")
	})
	r.mustRun()
	r.addr = r.status().Supervisor.Listen[0]
}

// begin runs `multisite up` and returns when it can be asked.
func (r *running) begin() {
	r.t.Helper()
	args := append(append(slices.Clone(r.wrap), cmp.Or(r.program, "multisite"), "up"), r.flags...)
	if len(r.files) > 0 {
		args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, args...)
	}
	cmd := command(r.t, r.dir, args[0], args[1:]...)
	cmd.Env = append(cmd.Env, r.env...)
	if cmd.ExtraFiles = r.files; len(r.files) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(r.files)))
	}
	cmd.Stdout, cmd.Stderr = r.out, r.log
	if r.program != "" { // which does not know of the test
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.pid, r.end = cmd.Process.Pid, &end{ch: make(chan struct{})}
	go func(e *end) {
		e.err = cmd.Wait()
		close(e.ch)
	}(r.end)
	eventually(r.t, "multisite up to be there", func() bool {
		return r.hasEnded() || strings.Contains(r.log.String(), "supervisor started")
	})
	r.mustRun()
}

func (r *running) mustRun() {
	r.t.Helper()
	if r.hasEnded() {
		r.t.Fatalf("multisite up ended: %v\n%s", r.end.err, r.log.String())
	}
}

func (r *running) hasEnded() bool {
	select {
	case <-r.end.ch:
		return true
	default:
		return false
	}
}

func (r *running) finish() {
	r.must("down")
	<-r.end.ch
	if r.end.err != nil {
		r.t.Errorf("multisite up: %v", r.end.err)
	}
	checkNothingLeft(r.t, r.dir)
	checkNoCrash(r.t, r.log.String())
	if r.t.Failed() {
		r.t.Log(r.log.String())
	}
}

// result is what became of a command.
type result struct {
	stdout, stderr string
	code           int
}

// multisite runs one command beside the supervisor's sites.toml.
func (r *running) multisite(args ...string) result {
	r.t.Helper()
	return runIn(r.t, r.dir, args...)
}

// must runs one command, which has to succeed, and returns what it printed.
func (r *running) must(args ...string) string {
	r.t.Helper()
	got := r.multisite(args...)
	if got.code != 0 || got.stderr != "" {
		r.t.Fatalf("multisite %s: exit %d\n%s", strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

// status asks the supervisor as `multisite status` does, without a process for it.
func (r *running) status() status.Status {
	r.t.Helper()
	st, err := control.NewClient(filepath.Join(r.dir, ".multisite")).Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

// site returns the status of one site.
func (r *running) site(name string) status.Site {
	r.t.Helper()
	for _, s := range r.status().Sites {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("status has no site %s", name)
	return status.Site{}
}

// pids returns the process of each worker of a site.
func (r *running) pids(site string) map[int]bool {
	r.t.Helper()
	pids := map[int]bool{}
	for _, w := range r.site(site).Workers {
		pids[w.PID] = true
	}
	return pids
}

// siteLog returns what the log file of a site holds.
func (r *running) siteLog(site string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", site+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// runIn runs one multisite command in a directory.
func runIn(t testing.TB, dir string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command(t, dir, "multisite", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// screen keeps what a process writes.
type screen struct {
	mu sync.Mutex
	// mu protects text
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// eventually waits until f is true of another process.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	within(t, patience, what, f)
}

func within(t testing.TB, patience time.Duration, what string, f func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
