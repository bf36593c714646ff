package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

const roomSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${PYTHON}"
wsgi = "code/whoami.py"
[site.one]
server_name = "one.example.com"
processes = 2
`

// startRoom starts the real program, wrapped in a command that limits its resources.
func startRoom(t *testing.T, owner *account.Account, wrap ...string) *running {
	r := &running{t: t, dir: newUsersDir(t, roomSites), out: &screen{}, log: &screen{}, wrap: wrap}
	r.program = filepath.Join(r.dir, "multisite")
	build(t, ".", r.program)
	if owner != nil {
		if err := os.Chown(r.dir, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(r.dir, "sites.toml"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	return r
}

// wantRefused runs a command that must fail and say how many workers the machine has room
// for.
func (r *running) wantRefused(by string, args ...string) {
	r.t.Helper()
	got := r.multisite(args...)
	want := regexp.MustCompile(`^multisite: error: (site one|\S*sites.toml:\d+: site.one.processes): \d+ workers are too many: this machine has .* for about \d+ \(.*` + by)
	if got.code == 0 || !want.MatchString(got.stderr) {
		r.t.Errorf("multisite %s: exit %d, %s", strings.Join(args, " "), got.code, got.stderr)
	}
}

// TestRoom_TooManyWorkersAreRefused: too many workers are refused, wherever the number is
// written, and nothing changes. A scale override of an earlier supervisor does not prevent
// the start.
func TestRoom_TooManyWorkersAreRefused(t *testing.T) {
	t.Parallel()
	r := startRoom(t, nil)
	before := r.pids("one")
	unchanged := func() {
		t.Helper()
		if s := r.site("one"); s.Processes.Ready != 2 || s.Processes.Desired != 2 || fmt.Sprint(r.pids("one")) != fmt.Sprint(before) {
			t.Errorf("it has %+v", s.Processes)
		}
	}
	r.wantRefused("each [0-9.]+ MB", "scale", "one", "1000000")
	unchanged()
	for _, processes := range []string{"1000000", "{ min = 0, max = 1000000 }"} {
		r.rewrite("processes = 2", "processes = "+processes)
		for _, command := range []string{"check", "reload"} {
			r.wantRefused("each [0-9.]+ MB", command)
		}
		r.rewrite("processes = "+processes, "processes = 2")
		unchanged()
	}
	r.must("down")
	r.rewrite("processes = 2", "processes = 1000000")
	r.wantRefused("each [0-9.]+ MB", "up")
}

// TestRoom_OfAControlGroup: the limit of a control group counts where the user has none.
func TestRoom_OfAControlGroup(t *testing.T) {
	t.Parallel()
	group := fmt.Sprintf("/sys/fs/cgroup/pids/multisite-test-%d", os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skip("no control group of version 1 for processes can be made: ", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(group, "pids.max"), []byte("250"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := startRoom(t, nil, "sh", "-c", `echo $$ > `+group+`/cgroup.procs && exec "$@"`, "sh")
	r.wantRefused(`pids\.max 250`, "scale", "one", "3000")
	r.must("scale", "one", "10")
}

const hogScript = `
import os, sys
try:
    while os.fork():
        pass
except OSError:
    print("full", flush=True)
sys.stdin.read()
`

// TestRoom_SupervisorOutlivesALackOfThreads: another program of the same user takes all
// threads that the user may have. Then nothing new starts, and everything else runs on.
func TestRoom_SupervisorOutlivesALackOfThreads(t *testing.T) {
	t.Parallel()
	owner := &account.Account{Name: "owner", UID: 200_000 + os.Getpid(), GID: 4712}
	const limit = "300"
	bounded := []string{"prlimit", "--nproc=" + limit + ":" + limit, "setpriv", fmt.Sprintf("--reuid=%d", owner.UID), "--regid=4712", "--clear-groups"}
	python := pythonForAll(t)
	r := startRoom(t, owner, bounded...)
	r.wantRefused("RLIMIT_NPROC "+limit, "scale", "one", "3000")
	r.must("scale", "one", "10")

	free := hog(t, append(bounded, python, "-c", hogScript))
	r.wantRefused("RLIMIT_NPROC "+limit, "scale", "one", "12")
	kill(t, r.site("one").Workers[0].PID)
	r.waitLog("one", `worker failed to start.*no room for another worker: RLIMIT_NPROC `+limit+` leaves \d+ processes and threads`)
	crowd(t, r, 150)
	r.mustRun()
	free()
	eventually(t, "room for more workers", func() bool { return r.multisite("scale", "one", "12").code == 0 })
	r.must("scale", "one", "2")
}

// hog runs a program that takes all threads. free ends it.
func hog(t *testing.T, command []string) (free func()) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.ReadFull(out, make([]byte, len("full\n")))
	}
	if err != nil {
		t.Fatal(err)
	}
	free = sync.OnceFunc(func() {
		in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_, _ = io.Copy(io.Discard, out) // until all its threads have exited
		_ = cmd.Wait()
	})
	t.Cleanup(free)
	return free
}

// crowd sends requests at once, each of which must be answered.
func crowd(t *testing.T, r *running, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			a, err := r.newVisitor().do(newRequest(t, http.MethodGet, "one.example.com", "/whoami", nil))
			if err != nil || a.status != 200 && a.status != 503 {
				t.Errorf("status %d, %v", a.status, err)
			}
		})
	}
	all.Wait()
}
