package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const pauseSites = `
listen = "127.0.0.1:0"
[site.a]
server_name = "a.example.com"
python_home = "${VENV}"
wsgi = "pause.wsgi"
warmup = []
processes = 2
listen_backlog = 20
error_pages = { "503" = "busy.html" }
[site.other]
server_name = "other.example.com"
python_home = "${VENV}"
wsgi = "pause.wsgi"
warmup = []
`

// pauseScript answers which version it is. It notes a request that it runs while there is a
// file "migrating", and lets one wait as long as there is a file "hold".
const pauseScript = `
import os, time
version = "one"

def application(environ, start_response):
    if os.path.exists("migrating") and environ["HTTP_HOST"].startswith("a."):
        open("wrong", "a").write(environ["PATH_INFO"] + "\n")
    while environ["PATH_INFO"] == "/held" and os.path.exists("hold"):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [version.encode()]
`

func startPausable(t *testing.T) *running {
	r := newRunning(t, newDir(t, pauseSites))
	writeFile(t, filepath.Join(r.dir, "pause.wsgi"), pauseScript)
	writeFile(t, filepath.Join(r.dir, "busy.html"), "busy")
	r.start()
	return r
}

// asking are requests that were sent at the same time.
type asking struct {
	all sync.WaitGroup
	mu  sync.Mutex
	got map[string]int // mu protects it: "200 one", by how often
}

// askMany sends n requests on connections of their own.
func (r *running) askMany(n int, path string) *asking {
	a := &asking{got: map[string]int{}}
	for range n {
		v := r.newVisitor()
		req := newRequest(r.t, http.MethodGet, "a.example.com", path, nil)
		a.all.Go(func() {
			answer, err := v.do(req)
			what := fmt.Sprint(answer.status, " ", answer.body)
			if err != nil {
				what = err.Error()
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.got[what]++
		})
	}
	return a
}

func (a *asking) want(t *testing.T, when, want string, n int) {
	t.Helper()
	if a.all.Wait(); len(a.got) != 1 || a.got[want] != n {
		t.Errorf("%s: got %v, want %d × %q", when, a.got, n, want)
	}
}

func (r *running) waits(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprint(n, " requests to wait"), func() bool { return r.site("a").Requests.Queued == n })
}

// TestPause: no request runs while a site is paused, however it comes, and none is lost: not
// by a reload that replaces the workers, nor by what an operator may try meanwhile.
func TestPause(t *testing.T) {
	t.Parallel()
	r := startPausable(t)
	t.Cleanup(r.finish)
	writeFile(t, filepath.Join(r.dir, "hold"), "")
	held := r.askMany(2, "/held")
	eventually(t, "two requests to run", func() bool { return r.site("a").Requests.Active == 2 })
	paused := make(chan string)
	go func() { paused <- r.multisite("pause", "a", "--max", "5m").stdout }()
	eventually(t, "the site to be paused", func() bool { return r.site("a").Paused != nil })
	first := r.askMany(3, "/")
	r.waits(3)
	select {
	case out := <-paused:
		t.Fatalf("paused while requests run: %s", out)
	default:
	}
	if err := os.Remove(filepath.Join(r.dir, "hold")); err != nil {
		t.Fatal(err)
	}
	if out := <-paused; !strings.Contains(out, "a: paused, no request runs; it goes on by itself at ") {
		t.Errorf("pause says %q", out)
	}
	held.want(t, "requests that ran", "200 one", 2)
	writeFile(t, filepath.Join(r.dir, "migrating"), "")
	if got := r.multisite("pause", "a"); got.code != 1 || !strings.Contains(got.stderr, "is paused until") {
		t.Errorf("a second pause: %d, %s", got.code, got.stderr)
	}
	if got := r.multisite("upgrade"); got.code != 1 || !strings.Contains(got.stderr, "no upgrade: site a is paused") {
		t.Errorf("an upgrade: %d, %s", got.code, got.stderr)
	}
	if out := r.must("status"); !strings.Contains(out, "a: paused since ") || !strings.Contains(out, "3 requests waiting") {
		t.Errorf("status says\n%s", out)
	}
	if a := r.get("other.example.com", "/"); a.status != http.StatusOK {
		t.Errorf("another site: got %d", a.status)
	}
	writeFile(t, filepath.Join(r.dir, "pause.wsgi"), strings.Replace(pauseScript, `"one"`, `"two"`, 1))
	r.must("reload", "a")
	second := r.askMany(4, "/")
	r.waits(7)
	r.must("scale", "a", "1")
	over := r.askMany(15, "/") // listen_backlog is 20
	eventually(t, "the queue to be full", func() bool {
		over.mu.Lock()
		defer over.mu.Unlock()
		return over.got["503 busy"] == 2 && r.site("a").Requests.Queued == 20
	})
	if err := os.Remove(filepath.Join(r.dir, "migrating")); err != nil {
		t.Fatal(err)
	}
	if out := r.must("resume", "a"); !strings.Contains(out, "20 requests waited") {
		t.Errorf("resume says %q", out)
	}
	first.want(t, "before the reload", "200 two", 3)
	second.want(t, "after the reload", "200 two", 4)
	if over.all.Wait(); over.got["503 busy"] != 2 || over.got["200 two"] != 13 {
		t.Errorf("with a full queue: got %v", over.got)
	}
	if b, err := os.ReadFile(filepath.Join(r.dir, "wrong")); err == nil {
		t.Errorf("these ran while the site was paused: %s", b)
	}
	if got := r.multisite("resume", "a"); got.code != 1 || !strings.Contains(got.stderr, "site a is not paused") {
		t.Errorf("resume once more: %d, %s", got.code, got.stderr)
	}
	r.must("upgrade")
}

// TestPause_EndsByItself: after --max the site goes on, and its log says so.
func TestPause_EndsByItself(t *testing.T) {
	t.Parallel()
	r := startPausable(t)
	t.Cleanup(r.finish)
	r.must("pause", "a", "--max", "1s")
	r.askMany(5, "/").want(t, "after --max", "200 one", 5)
	if r.site("a").Paused != nil {
		t.Error("it is still paused")
	}
	eventually(t, "the log to say it", func() bool {
		return strings.Contains(r.siteLog("a"), "level=ERROR msg=\"the pause has ended by itself")
	})
	writeFile(t, filepath.Join(r.dir, "hold"), "")
	held := r.askMany(1, "/held")
	eventually(t, "a request to run", func() bool { return r.site("a").Requests.Active == 1 })
	if got := r.multisite("pause", "a", "--max", "100ms"); got.code != 1 || !strings.Contains(got.stderr, "site a goes on: requests still ran after 100ms") {
		t.Errorf("with a request that does not end: %d, %s", got.code, got.stderr)
	}
	r.askMany(1, "/").want(t, "after a pause that failed", "200 one", 1)
	if err := os.Remove(filepath.Join(r.dir, "hold")); err != nil {
		t.Fatal(err)
	}
	held.want(t, "the long one", "200 one", 1)
	for _, max := range []string{"0s", "1h"} {
		if got := r.multisite("pause", "a", "--max", max); got.code != 2 {
			t.Errorf("--max %s: %d, %s", max, got.code, got.stderr)
		}
	}
}

// TestPause_ResumedBefore: a pause that is resumed while it still waits for a request fails, at
// once, and a pause that begins after that is not ended by it.
func TestPause_ResumedBefore(t *testing.T) {
	t.Parallel()
	r := startPausable(t)
	t.Cleanup(r.finish)
	writeFile(t, filepath.Join(r.dir, "hold"), "")
	held := r.askMany(1, "/held")
	eventually(t, "a request to run", func() bool { return r.site("a").Requests.Active == 1 })
	answers := make(chan result, 1)
	go func() { answers <- r.multisite("pause", "a", "--max", "5m") }()
	eventually(t, "the site to be paused", func() bool { return r.site("a").Paused != nil })
	r.must("resume", "a")
	next := make(chan result, 1)
	go func() { next <- r.multisite("pause", "a", "--max", "5m") }()
	if got := <-answers; got.code != 1 || !strings.Contains(got.stderr, "site a goes on: it was resumed") {
		t.Errorf("the first: %d, %s%s", got.code, got.stdout, got.stderr)
	}
	eventually(t, "the site to be paused again", func() bool { return r.site("a").Paused != nil })
	if err := os.Remove(filepath.Join(r.dir, "hold")); err != nil {
		t.Fatal(err)
	}
	if got := <-next; got.code != 0 || r.site("a").Paused == nil {
		t.Errorf("the second: %d, %s", got.code, got.stderr)
	}
	held.want(t, "the long one", "200 one", 1)
	r.must("resume", "a")
}

// TestPause_Down: what waits when the supervisor stops gets 503 at once, and never runs.
func TestPause_Down(t *testing.T) {
	t.Parallel()
	r := startPausable(t)
	r.must("pause", "a")
	writeFile(t, filepath.Join(r.dir, "migrating"), "")
	waiting := r.askMany(5, "/")
	r.waits(5)
	r.must("down")
	waiting.want(t, "at down", "503 busy", 5)
	r.checkEnd()
	if b, err := os.ReadFile(filepath.Join(r.dir, "wrong")); err == nil {
		t.Errorf("these ran while the site was paused: %s", b)
	}
}

// TestMaintenance: a closed site answers 503 but to those who may see it, through a reload,
// an upgrade and a new start.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	r := startPausable(t)
	t.Cleanup(r.finish)
	want := func(status int, body string) {
		t.Helper()
		a := r.get("a.example.com", "/")
		if a.status != status || a.body != body || status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "60" {
			t.Errorf("got %d %q %v, want %d %q", a.status, a.body, a.header, status, body)
		}
	}
	if out := r.must("maintenance", "a", "on"); out != "a: closed, 503 for all until multisite maintenance a off\n" {
		t.Errorf("got %q", out)
	}
	want(503, "busy")
	if a := r.get("other.example.com", "/"); a.status != http.StatusOK {
		t.Errorf("another site: got %d", a.status)
	}
	r.must("maintenance", "a", "on", "--allow", "127.0.0.0/8")
	want(200, "one")
	writeFile(t, filepath.Join(r.dir, "back.html"), "back at five")
	r.must("maintenance", "a", "on", "--page", "back.html", "--allow", "192.0.2.1,2001:db8::/32")
	if err := os.Remove(filepath.Join(r.dir, "back.html")); err != nil {
		t.Fatal(err)
	}
	want(503, "back at five")
	r.rewrite("processes = 2", "processes = 1")
	r.must("reload")
	want(503, "back at five")
	r.must("upgrade")
	want(503, "back at five")
	r.must("down")
	<-r.end.ch
	r.out, r.log = &screen{}, &screen{}
	r.start()
	want(503, "back at five")
	m := r.site("a").Maintenance
	if m == nil || !m.Page || fmt.Sprint(m.Allow) != "[192.0.2.1/32 2001:db8::/32]" || time.Since(m.Since) > time.Hour {
		t.Errorf("status --json says %+v", m)
	}
	if out := r.must("status"); !strings.Contains(out, "503 for all but 192.0.2.1/32, 2001:db8::/32") {
		t.Errorf("status says\n%s", out)
	}
	r.must("maintenance", "a", "off")
	want(200, "one")
	for _, args := range [][]string{{"a"}, {"a", "maybe"}, {"a", "off", "--page", "x.html"}, {"none", "on"}, {"a", "on", "--allow", "x"}, {"a", "on", "--page", "none.html"}} {
		if got := r.multisite(append([]string{"maintenance"}, args...)...); got.code != 2 || got.stderr == "" {
			t.Errorf("%q: got %d, %s", args, got.code, got.stderr)
		}
	}
}
