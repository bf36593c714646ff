package wsgi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

func TestLaunch_Plain(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp, preload(PreloadOff))
	w := s.launch(1)
	wantServing(t, w)
	if s.ZygotePID() != 0 || s.PreloadNote() != "off" {
		t.Errorf("zygote %d, preload %q, want none and off", s.ZygotePID(), s.PreloadNote())
	}
}

func TestLaunch_Forked(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			w := s.launch(n + 1)
			wantServing(t, w)
		})
	}
	wg.Wait()
	if s.PreloadNote() != "on" || s.ZygotePID() == 0 {
		t.Errorf("preload %q, zygote %d, want on", s.PreloadNote(), s.ZygotePID())
	}
	// The project zygote has exited.
	if got := processesOf(t, s.dir); len(got) != 4 {
		t.Errorf("%d processes, want a zygote and three workers:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// TestLaunch_Surroundings: a forked worker has the same environment and descriptors as
// a worker with an interpreter of its own.
func TestLaunch_Surroundings(t *testing.T) {
	t.Parallel()
	const app = `
import json, os, sys
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    fds = [os.readlink("/proc/self/fd/%d" % fd) for fd in range(64) if os.path.lexists("/proc/self/fd/%d" % fd)]
    return [json.dumps({
        "environ": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "argv": sys.argv,
        "blocking": [os.get_blocking(1), os.get_blocking(2)], "group": os.getpgrp() == os.getpid(),
        "sockets": sum(name.startswith("socket:") for name in fds), "stdin": os.readlink("/proc/self/fd/0"),
        "umask": os.umask(0o22),
    }, sort_keys=True, indent=1).encode()]
`
	var answers []string
	for _, p := range []Preload{PreloadOff, PreloadAuto} {
		s := newSite(t, app, preload(p))
		answers = append(answers, strings.ReplaceAll(ask(t, s.launch(1), "/"), s.dir, "DIR"))
	}
	if answers[0] != answers[1] {
		t.Errorf("a plain worker has\n%s\na forked one\n%s", answers[0], answers[1])
	}
	if !strings.Contains(answers[1], `"blocking": [
  true,
  true
 ]`) {
		t.Errorf("stdout and stderr do not block: a line may be lost\n%s", answers[1])
	}
}

func TestLaunch_FailedImport(t *testing.T) {
	t.Parallel()
	for _, p := range []Preload{PreloadOff, PreloadAuto, PreloadOn} {
		s := newSite(t, "import no_such_thing\n", preload(p))
		_, err := s.tryLaunch(t.Context(), 1)
		var launch *process.LaunchError
		if !errors.As(err, &launch) {
			t.Fatalf("preload %s: got %v, want a LaunchError", p, err)
		}
		if want := "ModuleNotFoundError: No module named 'no_such_thing'"; launch.Problem != want {
			t.Errorf("preload %s: got %q, want %q", p, launch.Problem, want)
		}
		if !strings.Contains(launch.Detail, `app.py", line 1`) || strings.Contains(launch.Detail, "multisite_wsgi") {
			t.Errorf("preload %s: the traceback is not the site's own:\n%s", p, launch.Detail)
		}
		s.write("app.py", helloApp)
		wantServing(t, s.launch(1)) // repaired, it needs nothing else
	}
}

// TestLaunch_StartupTimeout: a site that hangs while it is loaded is killed after
// startup_timeout, and the error contains its output.
func TestLaunch_StartupTimeout(t *testing.T) {
	t.Parallel()
	const app = `
print("looking for the database", flush=True)
import time
time.sleep(1000)
`
	s := newSite(t, app, func(o *Options) { o.StartupTimeout = always(3 * time.Second) })
	_, err := s.tryLaunch(t.Context(), 1)
	var launch *process.LaunchError
	want := "not ready within 3s (startup_timeout), hangs at " + s.dir + "/app.py:4 (<module>)"
	if !errors.As(err, &launch) || launch.Problem != want || !strings.HasPrefix(launch.Detail, "looking for the database\n") {
		t.Errorf("got  %#v\nwant %s and the last words", err, want)
	}
	wantNoProcess(t, s.dir)
}

// TestLaunch_OverdueSaysWhere: the error says where the start hangs, both of a worker
// that loads the site itself and of one that waits for the zygote. It names the line
// of the project, not that of a library it calls, and no stack is written twice.
func TestLaunch_OverdueSaysWhere(t *testing.T) {
	t.Parallel()
	const app = "import os, subprocess\n\ndef wait():\n" +
		"    open('%s/loading%d' % (os.environ['DIR'], os.getpid()), 'w').close(); subprocess.run(['sleep', '1000'])\n\nwait()\n"
	for p, loading := range map[Preload]int{PreloadOff: 2, PreloadAuto: 1} {
		s := newSite(t, app, preload(p))
		why := errors.New("late")
		inner, cancel := context.WithCancelCause(t.Context())
		ctx := lateContext{inner}
		failed := make(chan error, 2)
		for n := range 2 {
			go func() {
				_, err := s.tryLaunch(ctx, n+1)
				failed <- err
			}()
		}
		eventually(t, "the site to load", func() bool {
			files, _ := filepath.Glob(s.dir + "/loading*") // the pattern is right
			return len(files) == loading
		})
		cancel(why)
		for range 2 {
			err := <-failed
			if want := "late, hangs at " + s.dir + "/app.py:4 (wait)"; err == nil || err.Error() != want || !errors.Is(err, why) {
				t.Errorf("preload %s: got %v, want %s", p, err, want)
			}
			var launch *process.LaunchError
			if errors.As(err, &launch) && strings.Count(launch.Detail, "most recent call first") != 1 {
				t.Errorf("preload %s: the detail has not one stack:\n%s", p, launch.Detail)
			}
		}
		s.Close()
		wantNoProcess(t, s.dir)
	}
}

// lateContext is a cancelled context that pretends to have passed its deadline.
type lateContext struct{ context.Context }

func (c lateContext) Err() error {
	if c.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

func TestHangsAt(t *testing.T) {
	t.Parallel()
	const header, main = "Current thread 0x00007f (most recent call first):", `  File "<frozen runpy>", line 198 in _run_module_as_main`
	for _, test := range []struct {
		name, want string
		output     []string
	}{
		{"nothing", "", nil},
		{"no stack", "", []string{"hello", "world"}},
		{"own", ", hangs at /srv/app.py:4 (f)", []string{header, `  File "/usr/lib/python3.11/socket.py", line 1 in connect`, `  File "/srv/app.py", line 4 in f`, `  File "/srv/app.py", line 9 in <module>`, main}},
		{"another's", ", hangs at /venv/lib/python3.11/site-packages/x.py:1 (f)", []string{header, `  File "/venv/lib/python3.11/site-packages/x.py", line 1 in f`, main}},
		{"another thread's", ", hangs at /srv/app.py:4 (f)", []string{"Thread 0x1 (most recent call first):", `  File "/srv/thread.py", line 1 in f`, "", header, `  File "/srv/app.py", line 4 in f`, main}},
	} {
		if got := hangsAt(test.output); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestLaunch_Cancelled(t *testing.T) {
	t.Parallel()
	const app = `
import os, time
open(os.environ["DIR"] + "/loading", "w").close()
time.sleep(1000)
`
	for _, p := range []Preload{PreloadOff, PreloadAuto} {
		s := newSite(t, app, preload(p))
		ctx, cancel := context.WithCancel(t.Context())
		launched := make(chan error, 1)
		go func() {
			_, err := s.tryLaunch(ctx, 1)
			launched <- err
		}()
		eventually(t, "the site to load", func() bool { return exists(s.dir + "/loading") })
		cancel()
		if err := <-launched; err == nil {
			t.Errorf("preload %s: launched", p)
		}
		start := time.Now()
		s.Close()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("preload %s: Close took %v", p, took)
		}
		wantNoProcess(t, s.dir)
		if _, err := s.tryLaunch(t.Context(), 1); err == nil {
			t.Errorf("preload %s: launched after Close", p)
		}
	}
}

// TestLaunch_OneWorker: a site with one worker has no site zygote.
func TestLaunch_OneWorker(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp, func(o *Options) { o.Processes = 1 })
	w := s.launch(1)
	wantServing(t, w)
	eventually(t, "the project zygote to leave", func() bool { return len(processesOf(t, s.dir)) == 1 })
	kill(t, w.PID())
	<-w.Done()
	wantServing(t, s.launch(1))
	if got := processesOf(t, s.dir); len(got) != 1 {
		t.Errorf("%d processes, want one:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestLaunch_TimeToReady(t *testing.T) {
	if testing.Short() {
		t.Skip("a measurement")
	}
	s := newSite(t, helloApp)
	s.launch(1)
	start := time.Now()
	const n = 20
	for i := range n {
		end(s.launch(i + 2))
	}
	t.Logf("fork, ready, ended: %v each", time.Since(start)/n)
}

// TestLaunch_ExitIsSeen: the exit code or signal of a worker is known, forked or not.
func TestLaunch_ExitIsSeen(t *testing.T) {
	t.Parallel()
	const app = `
import os
def application(environ, start_response):
    os._exit(7)
`
	s := newSite(t, app, func(o *Options) { o.Warmup = nil })
	w, killed := s.launch(1), s.launch(2)
	if resp, err := w.RoundTrip(newGet(t)); err == nil {
		t.Errorf("status %d, want no answer", resp.StatusCode)
	}
	<-w.Done()
	if got := w.Exit(); got != (process.Exit{Code: 7}) {
		t.Errorf("got %v, want exit status 7", got)
	}
	start := time.Now()
	kill(t, killed.PID())
	<-killed.Done()
	if got := killed.Exit(); got.Signal != unix.SIGKILL {
		t.Errorf("got %v, want SIGKILL", got)
	}
	t.Logf("death seen after %v", time.Since(start))
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// threads returns how many threads a process has.
func threads(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%s/task", strconv.Itoa(pid)))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
