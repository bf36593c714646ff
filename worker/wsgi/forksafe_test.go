package wsgi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// threadApp starts a thread when it is imported, as exporters of metrics do.
const threadApp = `
import threading
threading.Thread(target=threading.Event().wait, name="exporter", daemon=True).start()
` + helloApp

func TestForkSafe_WorkersLoadTheSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, threadApp)
	for n := range 3 {
		wantServing(t, s.launch(n+1))
	}
	if got, want := s.PreloadNote(), `off (thread "exporter" started in app.py:3)`; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
	if !strings.Contains(s.log.String(), "level=WARN msg=\"workers load the code themselves") {
		t.Errorf("the log does not say why:\n%s", s.log)
	}
	eventually(t, "the zygotes to exit", func() bool { return len(processesOf(t, s.dir)) == 3 })
	wantServing(t, s.launch(4)) // the project zygote has exited
}

func TestForkSafe_PreloadTrueRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, threadApp, preload(PreloadOn))
	_, err := s.tryLaunch(t.Context(), 1)
	var launch *process.LaunchError
	want := `preload = true, but workers cannot be forked: thread "exporter" started in app.py:3`
	if !errors.As(err, &launch) || launch.Problem != want {
		t.Errorf("got %v, want %s", err, want)
	}
	eventually(t, "the zygotes to exit", func() bool { return len(processesOf(t, s.dir)) == 0 })
	s.write("app.py", helloApp)
	wantServing(t, s.launch(1))
	if s.PreloadNote() != "on" {
		t.Errorf("preload %q, want on", s.PreloadNote())
	}
}

// lateApp starts a thread at SIGUSR2, long after it was loaded.
const lateApp = `
import signal, threading
def start_thread(*_):
    threading.Thread(target=threading.Event().wait, name="late", daemon=True).start()
signal.signal(signal.SIGUSR2, start_thread)
` + helloApp

func TestForkSafe_Later(t *testing.T) {
	t.Parallel()
	s := newSite(t, lateApp)
	first := s.launch(1)
	zygote := s.ZygotePID()
	if err := unix.Kill(zygote, unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the thread to start", func() bool { return threads(t, zygote) == 2 })
	wantServing(t, s.launch(2))
	if got, want := s.PreloadNote(), `off (thread "late")`; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
	if s.ZygotePID() != 0 {
		t.Errorf("the zygote %d goes on", s.ZygotePID())
	}
	wantServing(t, first) // it was forked in time
}

func TestForkSafe_LaterWithPreloadTrue(t *testing.T) {
	t.Parallel()
	s := newSite(t, lateApp, preload(PreloadOn))
	first := s.launch(1)
	zygote := s.ZygotePID()
	if err := unix.Kill(zygote, unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the thread to start", func() bool { return threads(t, zygote) == 2 })
	if _, err := s.tryLaunch(t.Context(), 2); err == nil || err.Error() != `preload = true, but workers cannot be forked: thread "late"` {
		t.Errorf("got %v, want it refused for the thread", err)
	}
	wantServing(t, first)
	wantServing(t, s.launch(2)) // from a new zygote
	if s.PreloadNote() != "on" {
		t.Errorf("preload %q, want on", s.PreloadNote())
	}
}

// TestForkSafe_ExitWorkIsTheZygotes: exit handlers that were registered in the zygote
// run once, when the zygote exits.
func TestForkSafe_ExitWorkIsTheZygotes(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]string{"safe": helloApp, "unsafe": threadApp} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, `
import tempfile
kept = tempfile.TemporaryDirectory(prefix="kept-")
`+app)
			w := s.launch(1)
			kept := s.glob("kept-*")
			end(w)
			if name == "safe" {
				if got := s.glob("kept-*"); got != kept || kept != 1 {
					t.Errorf("%d directories, then %d: a worker deleted that of the zygote", kept, got)
				}
			}
			s.Close()
			if got := s.glob("kept-*"); got != 0 {
				t.Errorf("%d directories are left behind", got)
			}
		})
	}
}

// TestForkSafe_ChildOfTheSite: a child that the site forks when it is imported ends
// with its zygote and does not stay as a zombie.
func TestForkSafe_ChildOfTheSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, `
import os, signal
if os.fork() == 0:
    signal.pause()
`+helloApp)
	wantServing(t, s.launch(1))
	if got := s.PreloadNote(); !strings.HasPrefix(got, "off (child process ") {
		t.Errorf("preload %q, want off for a child process", got)
	}
}

// warmupApp starts a thread at its first request, as Sentry does for traces.
const warmupApp = `
import os, threading
begun = []
def application(environ, start_response):
    if not begun:
        begun.append(threading.Thread(target=threading.Event().wait, name="monitor", daemon=True))
        begun[0].start()
    start_response("200 OK", [])
    return [b"%d" % os.getpid()]
`

// TestForkSafe_WarmupAlone: a site that is not fork-safe only after its warm-up is
// shared without it, also by a zygote that is made later.
func TestForkSafe_WarmupAlone(t *testing.T) {
	t.Parallel()
	for _, mode := range []Preload{PreloadAuto, PreloadOn} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, warmupApp, preload(mode))
			const want = `on, without warm-up (thread "monitor" started in app.py:7)`
			for n := range 3 {
				wantServing(t, s.launch(n+1))
			}
			if got := s.PreloadNote(); got != want {
				t.Errorf("preload %q, want %q", got, want)
			}
			first := s.ZygotePID()
			if first == 0 {
				t.Fatal("there is no zygote")
			}
			s.Unload()
			wantServing(t, s.launch(4))
			if got, again := s.PreloadNote(), s.ZygotePID(); got != want || again == 0 || again == first {
				t.Errorf("preload %q, zygote %d after %d, want another one, %q", got, again, first, want)
			}
			if n := strings.Count(s.log.String(), "the zygote is made again without the warm-up"); n != 1 {
				t.Errorf("it was made again %d times, want once:\n%s", n, s.log)
			}
		})
	}
}

// searchApp opens a socket for /search that nothing can close.
const searchApp = `
import os, socket
kept = []
def application(environ, start_response):
    if environ["PATH_INFO"] == "/search":
        kept.append(socket.socketpair())
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")
        listener.listen()
        kept.append(listener)
    start_response("200 OK", [])
    return [b"%d" % os.getpid()]
`

func TestForkSafe_OnePathIsLeftOut(t *testing.T) {
	t.Parallel()
	s := newSite(t, searchApp, func(o *Options) { o.Warmup = []string{"/", "/search", "/about"} })
	for n := range 3 {
		wantServing(t, s.launch(n+1))
	}
	if got, want := s.PreloadNote(), "on, warmed up to / /about, left out /search: socket "; !strings.HasPrefix(got, want) {
		t.Errorf("preload %q, want %q", got, want)
	}
	if s.ZygotePID() == 0 {
		t.Error("there is no zygote")
	}
	if n := len(s.WarmupResults()); n != 3 {
		t.Errorf("%d results of the warm-up, want those of all paths", n)
	}
	log := s.log.String()
	if n := strings.Count(log, "the zygote is made again without a warm-up path"); n != 1 {
		t.Errorf("it was made again %d times, want once:\n%s", n, log)
	}
}

// TestForkSafe_EachPathInTurn: when "/" is left out, the next path starts the thread
// that "/" had started, so none is requested in the end.
func TestForkSafe_EachPathInTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t, warmupApp, func(o *Options) { o.Warmup = []string{"/", "/about", "/search"} })
	wantServing(t, s.launch(1))
	if got, want := s.PreloadNote(), `on, without warm-up (thread "monitor" started in app.py:7)`; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
	if n := strings.Count(s.log.String(), "the zygote is made again"); n != 2 {
		t.Errorf("it was made again %d times, want twice:\n%s", n, s.log)
	}
}

// TestForkSafe_WhatWasClosedIsShown: the site keeps a connection that can be closed
// without loss.
func TestForkSafe_WhatWasClosedIsShown(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	s := newSite(t, fmt.Sprintf(`
import http.client
connection = http.client.HTTPConnection(%q)
connection.request("GET", "/")
connection.getresponse().read()
`, other.Listener.Addr())+helloApp)
	wantServing(t, s.launch(1))
	if got, want := s.PreloadNote(), "on, warmed up to /, closed 1 HTTP connection"; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
}
