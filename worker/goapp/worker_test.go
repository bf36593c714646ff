package goapp

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRoundTrip_ChangesNothing(t *testing.T) {
	t.Parallel()
	w := launch(t, options(t, "app"))
	for _, uri := range []string{
		"/", "/?", "/a%2Fb/../c;d?x=%zz&y;z", "/%41%c3%bc", `/q"[1]|x?"`, "/a?b?c", "//two/slashes?x", "/a//b",
	} {
		r := request(t, "/")
		r.Host, r.RequestURI = "Sub.Example.COM:8080", uri
		if strings.HasPrefix(uri, "//") {
			r.URL.Path, r.URL.RawQuery = "//two/slashes", "x"
		}
		res, err := w.RoundTrip(r)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		got := string(body)
		if res.StatusCode/100 == 3 { // the mux of the app wants a clean path; we must not follow
			continue
		}
		if want := "GET Sub.Example.COM:8080 " + uri + " agent=false length=0 encoding=[]"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRoundTrip_SendsOnce(t *testing.T) {
	t.Parallel()
	w := launch(t, options(t, "app"))
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "POST"} {
		before, err := w.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		get(t, w, "/") // leaves an idle connection, after which net/http would repeat
		r := request(t, "/abort")
		r.Method = method
		if _, err := w.RoundTrip(r); err == nil {
			t.Errorf("%s: an aborted request was answered", method)
		}
		if after, err := w.Stats(t.Context()); err != nil || after.Requests != before.Requests+2 {
			t.Errorf("%s: got %d requests (%v), want 2", method, after.Requests-before.Requests, err)
		}
	}
}

func TestRoundTrip_Bodies(t *testing.T) {
	t.Parallel()
	w := launch(t, options(t, "app"))
	for _, test := range []struct{ name, method, body, want string }{
		{"post", "POST", "hello", "length=5 encoding=[]"},
		{"empty post", "POST", "", "length=0 encoding=[]"},
		{"get with a body", "GET", "hello", "length=5 encoding=[]"},
	} {
		r, err := http.NewRequest(test.method, "http://blog/", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.HasSuffix(string(got), test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestWorker_DeathIsSeen: the death of a worker is noticed without a probe.
func TestWorker_DeathIsSeen(t *testing.T) {
	t.Parallel()
	w := launch(t, options(t, "app"))
	get(t, w, "/")
	if err := syscall.Kill(w.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody saw the worker die")
	}
	if got := w.Exit().Signal; got != syscall.SIGKILL {
		t.Errorf("got %v, want SIGKILL", w.Exit())
	}
	if _, err := w.RoundTrip(request(t, "/")); err == nil {
		t.Error("a dead worker answered")
	}
	if _, err := w.Stats(t.Context()); err == nil {
		t.Error("a dead worker gave stats")
	}
}

func TestWorker_OutputArrivesOnce(t *testing.T) {
	t.Parallel()
	out := newLines()
	o := options(t, "app")
	o.Output = out.add
	w := launch(t, o)
	get(t, w, "/say")
	if _, err := w.RoundTrip(request(t, "/crash")); err == nil {
		t.Error("a crashed worker answered")
	}
	<-w.Done()
	for _, want := range []string{"from fmt", "from log", "from stderr", "panic: crashed", "goroutine "} {
		if got := out.count(want); got != 1 && want != "goroutine " || got == 0 {
			t.Errorf("got %d lines with %q, want 1 of %q", got, want, out.all)
		}
	}
	if got := w.Exit().Code; got != 2 {
		t.Errorf("got %v, want status 2", w.Exit())
	}
}

func TestWorker_PanicInHandler(t *testing.T) {
	t.Parallel()
	out := newLines()
	o := options(t, "app")
	o.Output = out.add
	w := launch(t, o)
	if status, body := get(t, w, "/panic"); status != 500 || strings.Contains(body, "bad handler") {
		t.Errorf("got %d %q, want a bare 500", status, body)
	}
	out.wait(t, "panic serving GET /panic: bad handler")
	res, err := w.RoundTrip(request(t, "/late"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("got a clean end after %q, want a cut connection", b)
	}
	out.wait(t, "panic serving GET /late: too late")
	if status, _ := get(t, w, "/"); status != 200 {
		t.Errorf("got %d after a panic, want 200", status)
	}
}

func TestWorker_StopFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	out := newLines()
	o := options(t, "app")
	release := filepath.Join(t.TempDir(), "go")
	o.Env, o.Output = append(o.Env, "RELEASE="+release), out.add
	w := launch(t, o)
	res, err := w.RoundTrip(request(t, "/hold"))
	if err != nil {
		t.Fatal(err)
	}
	out.wait(t, "holding")
	if s, err := w.Stats(t.Context()); err != nil || s.Active != 1 || s.Requests != 1 || s.Goroutines == 0 {
		t.Errorf("got %+v, %v, want one active request", s, err)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.Stop(30 * time.Second) }()
	waitUntilRefused(t, w)
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); string(b) != "whole" || err != nil {
		t.Errorf("got %q, %v, want the whole answer", b, err)
	}
	<-stopped
	if got := w.Exit().String(); got != "exit status 0" {
		t.Errorf("got %s, want exit status 0", got)
	}
	if out.count("after Serve") != 1 {
		t.Errorf("main did not go on after Serve: %q", out.all)
	}
}

func TestWorker_StopKillsAfterGrace(t *testing.T) {
	t.Parallel()
	out := newLines()
	o := options(t, "app")
	o.Env, o.Output = append(o.Env, "RELEASE=/nowhere"), out.add
	w := launch(t, o)
	res, err := w.RoundTrip(request(t, "/hold"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	w.Stop(20 * time.Millisecond)
	if got := w.Exit().Signal; got != syscall.SIGKILL {
		t.Errorf("got %v, want SIGKILL", w.Exit())
	}
}

func TestWorker_CloseLeavesNothing(t *testing.T) { // not parallel: it counts the goroutines and descriptors of this process
	o := options(t, "app")
	launch(t, o).Close() // opens what is opened once in a process
	before := holdings(t)
	w := launch(t, o)
	get(t, w, "/")
	if got := holdings(t); got == before {
		t.Errorf("got %v with a worker, want more than without", got)
	}
	w.Close()
	w.Close()
	select {
	case <-w.Done():
	default:
		t.Error("the process runs after Close")
	}
	if left := leftovers(t, o.SocketDir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	deadline := time.Now().Add(10 * time.Second)
	for now := holdings(t); now.goroutines > before.goroutines || now.descriptors > before.descriptors; now = holdings(t) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v after Close, want at most %+v", now, before)
		}
	}
}

// The successor of a dead worker has its name and its socket's path.
func TestWorker_CloseKeepsTheSuccessorsSocket(t *testing.T) {
	t.Parallel()
	o := options(t, "app")
	old := launch(t, o)
	old.Kill()
	<-old.Done()
	next := launch(t, o)
	old.Close()
	if status, _ := get(t, next, "/"); status != 200 {
		t.Errorf("got %d, want 200", status)
	}
}

func waitUntilRefused(t *testing.T, w *Worker) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		res, err := w.RoundTrip(request(t, "/"))
		if err != nil {
			return
		}
		res.Body.Close()
		if time.Now().After(deadline) {
			t.Fatal("a draining worker takes new requests")
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	w := launch(b, options(b, "app"))
	b.ReportAllocs()
	for b.Loop() {
		get(b, w, "/")
	}
}

type held struct{ goroutines, descriptors int }

func holdings(t *testing.T) held {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return held{goroutines: runtime.NumGoroutine(), descriptors: len(fds)}
}

// TestStuck has one handler that returns at the end of its context, and one that does not.
func TestStuck(t *testing.T) {
	t.Parallel()
	said := newLines()
	o := options(t, "app")
	o.Output = said.add
	release := filepath.Join(t.TempDir(), "release")
	o.Env = append(o.Env, "RELEASE="+release)
	w := launch(t, o)
	for _, path := range []string{"/heed", "/hold"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if path == "/hold" {
				said.wait(t, "holding")
			}
			cancel()
		}()
		if res, err := w.RoundTrip(request(t, path).WithContext(ctx)); err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if err == nil {
				t.Fatalf("%s was answered", path)
			}
		}
	}
	until(t, "one to be stuck", func() bool {
		st, err := w.Stats(t.Context())
		return err == nil && st.Active == 1 && w.Stuck(0)
	})
	if w.Stuck(time.Hour) {
		t.Error("it is taken for older than it is")
	}
	w.DumpStack()
	said.wait(t, "goapp.routes.func")
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "it to end", func() bool { return !w.Stuck(0) })
	left := &Worker{Process: w.Process}
	if !left.Stuck(time.Hour) {
		t.Error("a worker that cannot be asked is not taken for stuck")
	}
}

// until waits for something that happens in another process.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}
