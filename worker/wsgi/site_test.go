package wsgi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for another process before it fails.
const patience = 30 * time.Second

// helloApp is a site that answers with its process id.
const helloApp = `
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
`

// testSite is a Runtime for an application that the test writes.
type testSite struct {
	*Runtime
	t   testing.TB
	dir string  // where its module is
	log *screen // what the runtime logged
	out *screen // what its processes wrote
}

// newSite makes a runtime for the module app with that source. When the test ends it
// is closed, and no process or file of it may remain.
func newSite(t testing.TB, source string, change ...func(*Options)) *testSite {
	t.Helper()
	dir := newSiteDir(t)
	s := &testSite{t: t, dir: dir, log: &screen{}, out: &screen{}}
	s.write("app.py", source)
	o := siteOptions(venvPython(t), dir)
	o.Log = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Output = func(worker, line string) { fmt.Fprintln(s.out, worker, line) }
	for _, f := range change {
		f(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Runtime = r
	t.Cleanup(s.Close)
	return s
}

// newSiteDir returns a directory. No process may use it when the test has ended.
func newSiteDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { wantNoProcess(t, dir) })
	return dir
}

func siteOptions(python, dir string) Options {
	return Options{
		Site: "site", Python: python, Entry: "app", PythonPath: []string{dir}, Home: dir, Mount: "/",
		Env:     []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "DIR=" + dir, "TMPDIR=" + dir},
		Threads: 1, Processes: 3,
		Preload: PreloadAuto, Warmup: []string{"/"}, Host: "site.example.com", Tricks: []string{"gc", "freeze", "seal"},
		StartupTimeout: always(patience),
		SocketDir:      filepath.Join(dir, "run"), CodeDir: filepath.Join(dir, "code"),
		Log:    slog.New(slog.DiscardHandler),
		Output: func(string, string) {},
	}
}

func preload(p Preload) func(*Options) { return func(o *Options) { o.Preload = p } }

// venvPython is the interpreter of the project that the tests use.
func venvPython(t testing.TB) string {
	t.Helper()
	python, err := filepath.Abs("../../testdata/django/.venv/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("%v; run: make test", err)
	}
	return python
}

func (s *testSite) write(name, source string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(source), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// launch starts a worker, which must become ready. It ends with the test.
func (s *testSite) launch(n int) *Worker {
	s.t.Helper()
	w, err := s.tryLaunch(s.t.Context(), n)
	if err != nil {
		s.t.Fatalf("launch worker %d: %v\n%s%s", n, err, s.log, s.out)
	}
	return w
}

func (s *testSite) tryLaunch(ctx context.Context, n int) (*Worker, error) {
	w, err := s.Launch(ctx, fmt.Sprintf("site/%d", n))
	if err == nil {
		s.t.Cleanup(func() { end(w) })
	}
	return w, err
}

func end(w *Worker) {
	w.Stop(patience)
	w.Close()
}

// ask sends a request to a worker and returns the body of the answer.
func ask(t testing.TB, w *Worker, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://site.example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(req)
	if err != nil {
		t.Fatalf("worker %d: %v", w.PID(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("worker %d: status %d, %v: %s", w.PID(), resp.StatusCode, err, body)
	}
	return string(body)
}

// wantServing checks that a worker serves helloApp.
func wantServing(t testing.TB, w *Worker) {
	t.Helper()
	if got, want := ask(t, w, "/"), strconv.Itoa(w.PID()); got != want {
		t.Errorf("process %s answers, want %s", got, want)
	}
}

// wantNoProcess checks that no process uses the code in a directory.
func wantNoProcess(t testing.TB, dir string) {
	t.Helper()
	if left := processesOf(t, dir); len(left) > 0 {
		t.Errorf("processes left behind:\n%s", strings.Join(left, "\n"))
	}
}

// processesOf returns the processes that run the code in a directory.
func processesOf(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		b, _ := os.ReadFile(file) // of one that has just ended: empty
		if strings.Contains(string(b), dir) {
			found = append(found, filepath.Base(filepath.Dir(file))+" "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

// eventually waits until f, which observes another process, is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// screen keeps what is written.
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

func newGet(t testing.TB) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://site.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// glob returns how many entries of the site's directory match a pattern.
func (s *testSite) glob(pattern string) int {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, pattern))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(found)
}

// always returns a StartupTimeout that does not change.
func always(limit time.Duration) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		return limit, fmt.Errorf("not ready within %v (startup_timeout)", limit)
	}
}
