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

// running is a `multisite up` in a process of its own.
type running struct {
	t    testing.TB
	dir  string // holds its sites.toml and everything that it writes
	addr string // of the front door; set by start
	pid  int
	out  *screen // its standard output
	log  *screen // its standard error
	end  *end

	// A test sets these before start, if it needs them.
	program string     // runs instead of the test binary
	flags   []string   // of `multisite up`
	env     []string   // added to the environment of the test
	files   []*os.File // sockets to pass as systemd does
	wrap    []string   // a command that runs it
}

// end holds how the process exited, once ch is closed.
type end struct {
	ch  chan struct{}
	err error
}

// up starts a supervisor for a sites.toml in a directory of its own. The end of the test
// stops it and checks that it has left nothing behind.
func up(t testing.TB, sites string) *running {
	t.Helper()
	r := newRunning(t, newDir(t, sites))
	r.start()
	t.Cleanup(r.finish)
	return r
}

// newRunning returns a supervisor for the sites.toml in dir. The caller starts it.
func newRunning(t testing.TB, dir string) *running {
	return &running{t: t, dir: dir, out: &screen{}, log: &screen{}}
}

// in returns r for a subtest.
func (r *running) in(t *testing.T) *running {
	part := *r
	part.t = t
	return &part
}

// part is one of several tests that share a running supervisor.
type part struct {
	name string
	test func(*testing.T, *running)
}

// parts runs the parts as subtests, one after the other.
func (r *running) parts(t *testing.T, parts []part) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) { p.test(t, r.in(t)) })
	}
}

// start runs `multisite up` and returns when it has printed its sites.
func (r *running) start() {
	r.t.Helper()
	r.begin()
	eventually(r.t, "multisite up to print its sites", func() bool {
		return r.hasEnded() || strings.Contains(r.out.String(), "://")
	})
	r.mustRun()
	r.addr = r.status().Supervisor.Listen[0]
}

// begin runs `multisite up` and returns when its control socket answers.
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
	if r.program != "" { // which does not call endWithTest
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
	eventually(r.t, "multisite up to start", func() bool {
		return r.hasEnded() || strings.Contains(r.log.String(), "supervisor started")
	})
	r.mustRun()
}

func (r *running) mustRun() {
	r.t.Helper()
	if r.hasEnded() {
		r.t.Fatalf("multisite up exited: %v\n%s", r.end.err, r.log.String())
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

// finish stops the supervisor and checks that it has left nothing behind.
func (r *running) finish() {
	r.must("down")
	r.checkEnd()
}

// checkEnd waits until the supervisor has exited and checks that it has left nothing
// behind.
func (r *running) checkEnd() {
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

// result is the outcome of a command.
type result struct {
	stdout, stderr string
	code           int
}

// multisite runs a command of multisite in the directory of the sites.toml.
func (r *running) multisite(args ...string) result {
	r.t.Helper()
	return runIn(r.t, r.dir, args...)
}

// must runs a command that has to succeed, and returns its output.
func (r *running) must(args ...string) string {
	r.t.Helper()
	got := r.multisite(args...)
	if got.code != 0 || got.stderr != "" {
		r.t.Fatalf("multisite %s: exit %d\n%s", strings.Join(args, " "), got.code, got.stderr)
	}
	return got.stdout
}

// status returns what `multisite status` shows, without running a process.
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

// pids returns the set of the pids of a site's workers.
func (r *running) pids(site string) map[int]bool {
	r.t.Helper()
	pids := map[int]bool{}
	for _, w := range r.site(site).Workers {
		pids[w.PID] = true
	}
	return pids
}

// siteLog returns the log file of a site.
func (r *running) siteLog(site string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", site+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// runIn runs a command of multisite in a directory.
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

// screen is a buffer that a process writes to while a test reads it.
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

// eventually waits until f returns true, for patience at most.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	within(t, patience, what, f)
}

// within waits until f returns true, and fails the test if it takes longer than patience.
func within(t testing.TB, patience time.Duration, what string, f func() bool) {
	t.Helper()
	if !becomesTrue(patience, f) {
		t.Fatalf("waited %v for %s", patience, what)
	}
}

// becomesTrue waits until f returns true, and returns false if it takes longer than
// patience.
func becomesTrue(patience time.Duration, f func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}
