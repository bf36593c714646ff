package goapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/process"
)

func TestLaunch_SaysWhyItFailed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, path, role, want, detail string
	}{
		{"panic", "", "panic", "ended before it was ready: exit status 2: panic: no database", "goroutine 1"},
		{"log.Fatal", "", "fatal", "exit status 1: ", "open config: no such file"},
		{"ends at once", "/bin/true", "", "exit status 0 and said nothing; a Go site's program must call worker.Serve", ""},
		{"reads stdin", "/bin/cat", "", "No such file or directory", "role="},
		{"never speaks", "/bin/sleep", "sleep", "was not ready within 300ms and said nothing", ""},
		{"hangs", "", "hang", "was not ready within 300ms", "hanging"},
		{"missing", "/nowhere/app", "", "start /nowhere/app: ", ""},
		{"not a program", "/etc/passwd", "", "permission denied", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, test.role)
			if test.path != "" {
				o.Path = test.path
			}
			if test.role == "sleep" {
				o.Args = args("1000")
			}
			ctx, late := t.Context(), errors.New("not ready within 300ms")
			if strings.Contains(test.want, late.Error()) {
				limited, cancel := context.WithTimeoutCause(ctx, 300*time.Millisecond, late)
				defer cancel()
				ctx = limited
			}
			if test.path == "/bin/true" {
				o.Args = nil
			}
			_, err := New(o).Launch(ctx, "blog/1")
			var failed *process.LaunchError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want a LaunchError", err)
			}
			if !strings.Contains(failed.Problem, test.want) || strings.Contains(failed.Problem, "\n") {
				t.Errorf("got problem %q, want one line with %q", failed.Problem, test.want)
			}
			if ctx.Err() != nil && !errors.Is(err, late) {
				t.Errorf("%v does not wrap the cause of its context", err)
			}
			if !strings.Contains(failed.Detail, test.detail) {
				t.Errorf("got detail %q, want %q", failed.Detail, test.detail)
			}
			if left := leftovers(t, o.SocketDir); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestLaunch_WhatCanNotBePreparedDoesNotServe(t *testing.T) {
	t.Parallel()
	o := options(t, "app")
	var pid int
	o.Prepare = func(p *process.Process) error {
		pid = p.PID()
		return errors.New("no such priority")
	}
	_, err := New(o).Launch(t.Context(), "blog/1")
	var failed *process.LaunchError
	if !errors.As(err, &failed) || failed.Problem != "no such priority" || failed.Process.PID() != pid || pid == 0 {
		t.Errorf("got %+v of process %d", err, pid)
	}
	if left := leftovers(t, o.SocketDir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Error("the process lives")
	}
}

// TestLaunch_AsksWhereThePathsAre: Launch resolves the paths each time, since a link
// may have another target by then.
func TestLaunch_AsksWhereThePathsAre(t *testing.T) {
	t.Parallel()
	o := options(t, "app")
	where := map[string]string{"program": o.Path, "home": t.TempDir()}
	o.Path, o.Dir, o.At = "program", "home", func(path string) string { return where[path] }
	r := New(o)
	for i := range 2 {
		w, err := r.Launch(t.Context(), fmt.Sprintf("blog/%d", i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", w.PID())); dir != where["home"] {
			t.Errorf("launch %d: got directory %s (%v), want %s", i, dir, err, where["home"])
		}
		where["home"] = t.TempDir()
	}
	where["program"] = "/nowhere/app"
	if _, err := r.Launch(t.Context(), "blog/3"); err == nil || !strings.Contains(err.Error(), "start /nowhere/app: ") {
		t.Errorf("got %v, want the program's name", err)
	}
}

func TestLaunch_CancelLeavesNoProcess(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("site removed")
	o := options(t, "hang")
	o.Args = args(append(o.Args(), "marker="+o.SocketDir)...)
	o.Output = func(string, string) { cancel(why) }
	begin := time.Now()
	_, err := New(o).Launch(ctx, "blog/1")
	if !errors.Is(err, why) {
		t.Fatalf("got %v, want %v", err, why)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("gave up after %v, want at once", d)
	}
	if pids := running(t, "marker="+o.SocketDir); len(pids) != 0 {
		t.Errorf("processes %v are alive", pids)
	}
	if left := leftovers(t, o.SocketDir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLaunch_CancelAfterwardsChangesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := New(options(t, "app")).Launch(ctx, "blog/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	cancel()
	if status, _ := get(t, w, "/"); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
}

func TestLaunch_LongSocketDir(t *testing.T) {
	t.Parallel()
	o := options(t, "app")
	o.SocketDir = filepath.Join(o.SocketDir, strings.Repeat("d", 200))
	if err := os.Mkdir(o.SocketDir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := launch(t, o)
	if status, _ := get(t, w, "/"); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
	want := []string{filepath.Join(o.SocketDir, fmt.Sprintf("blog-1.%d.control", w.PID())), filepath.Join(o.SocketDir, "blog-1.sock")}
	if left := leftovers(t, o.SocketDir); w.Socket() != want[1] || !slices.Equal(left, want) {
		t.Errorf("got %q, want %q alone", left, want)
	}
}

func TestLaunch_GivesOnlyItsEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_ANOTHER_SITE", "1")
	o := options(t, "app")
	o.Env = []string{"MINE=1", "PATH=/bin"}
	_, body := get(t, launch(t, o), "/env")
	if body != "MINE=1\nPATH=/bin" {
		t.Errorf("got %q, want only what the site has", body)
	}
}

// TestLaunch_WorkerDiesWithTheSupervisor, even if that is killed by SIGKILL.
func TestLaunch_WorkerDiesWithTheSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(testProgram(t), "role=supervisor", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var pid int
	if _, err := fmt.Fscanf(out, "worker %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for len(running(t, "marker="+dir)) != 0 {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("worker %d outlived its supervisor", pid)
		}
	}
}

func supervise(dir string) {
	path, err := os.Executable()
	if err != nil {
		slog.Error("find the test program", "error", err)
		os.Exit(1)
	}
	w, err := New(Options{Path: path, Args: args("role=app", "marker="+dir), SocketDir: dir}).Launch(context.Background(), "blog/1")
	if err != nil {
		slog.Error("launch", "error", err)
		os.Exit(1)
	}
	fmt.Println("worker", w.PID())
	select {}
}

// running returns the processes that have arg on their command line.
func running(t *testing.T, arg string) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("cannot read /proc: %v", err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(f) // it may have ended
		if strings.Contains(string(b), "\x00"+arg+"\x00") {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

func TestEnvironment_HasEachNameOnce(t *testing.T) {
	t.Parallel()
	got := environment([]string{"A=site", "B=site"}, []string{"A=plugin", plugin.EnvUnixSocketDir + "=/plugin"})
	want := []string{worker.ListenEnv + "=3", plugin.EnvUnixSocketDir + "=/proc/self/fd/5", "A=plugin", "B=site"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
