package wsgi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestZygote_KilledIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp)
	first := s.launch(1)
	old := s.ZygotePID()
	kill(t, old)
	second := s.launch(2) // at once: its end may not have been seen yet
	wantServing(t, second)
	wantServing(t, first)
	if pid := s.ZygotePID(); pid == old || pid == 0 || s.PreloadNote() != "on" {
		t.Errorf("zygote %d, was %d; preload %q", pid, old, s.PreloadNote())
	}
	if want := fmt.Sprintf(`level=WARN msg="zygote exited unexpectedly" pid=%d exit="signal killed (9)"`, old); !strings.Contains(s.log.String(), want) {
		t.Errorf("no such line in the log:\n%s", s.log)
	}
}

// stuckApp forks workers that never become ready while a file exists. Each worker
// takes two forks, and only the second child is the worker.
const stuckApp = `
import os, time
depth = [0]
def in_child():
    depth[0] += 1
    if depth[0] == 2 and os.path.exists(os.environ["DIR"] + "/stuck"):
        HOW
os.register_at_fork(after_in_child=in_child)
` + helloApp

func TestZygote_ThreeFailuresReplaceIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, strings.Replace(stuckApp, "HOW", "os._exit(3)", 1))
	wantServing(t, s.launch(1))
	zygote := s.ZygotePID()
	s.write("stuck", "")
	for n := range failuresAllowed {
		_, err := s.tryLaunch(t.Context(), 2)
		if err == nil || !strings.Contains(err.Error(), "the worker exited before it was ready: exit status 3") {
			t.Fatalf("launch %d: got %v", n, err)
		}
		if gone := s.ZygotePID() != zygote; gone != (n == failuresAllowed-1) {
			t.Errorf("after %d failures the zygote is %d, was %d", n+1, s.ZygotePID(), zygote)
		}
	}
	if !strings.Contains(s.log.String(), `level=WARN msg="zygote given up"`) {
		t.Errorf("no such line in the log:\n%s", s.log)
	}
	// The first worker of the second zygote becomes ready, the next ones do not.
	for n := range failuresAllowed {
		if _, err := s.tryLaunch(t.Context(), 2); err == nil {
			t.Fatalf("launch %d from the second zygote succeeded", n)
		}
	}
	wantServing(t, s.launch(2))
	if got, want := s.PreloadNote(), "off (3 workers in a row did not start from a second zygote)"; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
}

// TestZygote_WorkerHangs: a worker that hangs before it is ready is killed when its
// launch times out.
func TestZygote_WorkerHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, strings.Replace(stuckApp, "HOW", "time.sleep(1000)", 1))
	wantServing(t, s.launch(1))
	s.write("stuck", "")
	late := errors.New("late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, late)
	defer cancel()
	if _, err := s.tryLaunch(ctx, 2); !errors.Is(err, late) {
		t.Errorf("got %v, want %v", err, late)
	}
	if got := processesOf(t, s.dir); len(got) != 2 {
		t.Errorf("%d processes, want the zygote and its first worker:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// TestZygote_ForkHangs: a zygote that hangs in a fork is killed when the worker's
// startup_timeout is over.
func TestZygote_ForkHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
import os, time
def before():
    if os.path.exists(os.environ["DIR"] + "/stuck"):
        time.sleep(1000)
os.register_at_fork(before=before)
`+helloApp, func(o *Options) { o.StartupTimeout = always(5 * time.Second) })
	wantServing(t, s.launch(1))
	s.write("stuck", "")
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.tryLaunch(ctx, 2); err == nil {
		t.Error("launched")
	}
	if took := time.Since(start); took < 5*time.Second || took > answerTime-5*time.Second {
		t.Errorf("it took %v, want 5s", took)
	}
}

// TestZygote_CancelledLaunchIsNoFailure: a cancelled launch does not count against the
// zygote.
func TestZygote_CancelledLaunchIsNoFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t, strings.Replace(stuckApp, "HOW", "time.sleep(1000)", 1))
	wantServing(t, s.launch(1))
	zygote := s.ZygotePID()
	s.write("stuck", "")
	for range failuresAllowed + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		launched := make(chan error, 1)
		go func() {
			_, err := s.tryLaunch(ctx, 2)
			launched <- err
		}()
		eventually(t, "the worker to hang", func() bool { return len(processesOf(t, s.dir)) == 3 })
		cancel()
		if err := <-launched; err == nil {
			t.Fatal("launched")
		}
	}
	if s.ZygotePID() != zygote {
		t.Errorf("zygote %d, want %d still", s.ZygotePID(), zygote)
	}
}

func TestZygote_UnloadAndWake(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp)
	end(s.launch(1))
	zygote := s.ZygotePID()
	start := time.Now()
	w := s.launch(1)
	wantServing(t, w)
	t.Logf("wake with a zygote: %v", time.Since(start))
	end(w)
	s.Unload()
	if s.ZygotePID() != 0 || s.PreloadNote() != "on" {
		t.Errorf("zygote %d, preload %q, want no zygote, and on", s.ZygotePID(), s.PreloadNote())
	}
	wantNoProcess(t, s.dir)
	start = time.Now()
	wantServing(t, s.launch(1))
	t.Logf("wake without a zygote: %v", time.Since(start))
	if pid := s.ZygotePID(); pid == 0 || pid == zygote {
		t.Errorf("zygote %d, was %d: want a new one", pid, zygote)
	}
}

// TestZygote_UnloadWhileWaking: a launch may come at the moment at which the zygote is
// unloaded.
func TestZygote_UnloadWhileWaking(t *testing.T) {
	t.Parallel()
	s := newSite(t, helloApp)
	end(s.launch(1))
	for range 20 {
		unloaded := make(chan struct{})
		go func() {
			defer close(unloaded)
			s.Unload()
		}()
		w := s.launch(1)
		wantServing(t, w)
		end(w)
		<-unloaded
	}
}

// TestZygote_LoadsNewCode: edited code is loaded, not the old bytecode, even if its size
// and its time in seconds are the same.
func TestZygote_LoadsNewCode(t *testing.T) {
	t.Parallel()
	s := newSite(t, "import page\napplication = page.application\n")
	page := func(text string) string {
		return "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'" + text + "']\n"
	}
	for _, text := range []string{"one", "two", "six"} {
		s.write("page.py", page(text))
		w := s.launch(1)
		if got := ask(t, w, "/"); got != text {
			t.Errorf("got the page %q, want %q", got, text)
		}
		end(w)
		s.Unload()
	}
}

// TestHazardError: a site writes its report itself, and may leave out the reasons.
func TestHazardError(t *testing.T) {
	t.Parallel()
	for want, reasons := range map[string]string{
		"not fork-safe: it does not say why": "",
		"not fork-safe: a":                   "a",
		"not fork-safe: a and 2 more":        "a b c",
	} {
		if got := (&hazardError{strings.Fields(reasons)}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
