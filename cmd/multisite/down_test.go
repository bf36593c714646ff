package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const downSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "down.wsgi"
shutdown_timeout = "500ms"
[site.short]
server_name = "short.example.com"
graceful_timeout = "1s"
static = { "/static/" = "static" }
[site.long]
server_name = "long.example.com"
graceful_timeout = "100s"
`

// downScript answers after so many seconds, or when the file "hold" is gone.
const downScript = `
import os, time
def application(environ, start_response):
    while environ["QUERY_STRING"] == "hold" and os.path.exists("hold"):
        time.sleep(0.01)
    if environ["QUERY_STRING"].isdigit():
        time.sleep(int(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slept"]
`

// upForDown starts both sites.
func upForDown(t *testing.T) *running {
	t.Parallel()
	r := newRunning(t, newDir(t, downSites))
	writeFile(t, filepath.Join(r.dir, "down.wsgi"), downScript)
	if err := os.Mkdir(filepath.Join(r.dir, "static"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(r.dir, "static", "large"), strings.Repeat("x", 64<<20))
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	return r
}

// ask asks a site and returns the answer when it is there.
func (r *running) ask(site, uri string) <-chan answer {
	r.t.Helper()
	got := make(chan answer, 1)
	go func() {
		a, _ := r.newVisitor().do(newRequest(r.t, http.MethodGet, site+".example.com", uri, nil)) // an error means that it was cut off
		got <- a
	}()
	eventually(r.t, "the request to run", func() bool { return r.site(site).Requests.Active == 1 })
	return got
}

// wantEnd waits until a worker has exited, and the supervisor without an error.
func (r *running) wantEnd(site, exit, running string) {
	r.t.Helper()
	<-r.end.ch
	if r.end.err != nil {
		r.t.Errorf("multisite up: %v", r.end.err)
	}
	want := fmt.Sprintf(`reason="supervisor stop" exit="%s" age=\d\S+ requests=\d%s$`, exit, running)
	r.waitLog(site, want)
}

func TestDown_LetsRequestsFinish(t *testing.T) {
	for name, down := range map[string]func(*running){
		"down":    func(r *running) { r.must("down") },
		"SIGTERM": func(r *running) { _ = syscall.Kill(r.pid, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			r := upForDown(t)
			got := r.ask("long", "/?2")
			down(r)
			if a := <-got; a.status != 200 || a.body != "slept" {
				t.Errorf("status %d, %q", a.status, a.body)
			}
			r.wantEnd("long", "exit status 0", "")
			r.wantEnd("short", "exit status 0", "")
		})
	}
}

// TestDown_EachSiteHasItsOwnTime: each site's requests are cut off after its own
// graceful_timeout.
func TestDown_EachSiteHasItsOwnTime(t *testing.T) {
	r := upForDown(t)
	release := r.holdFile()
	long, short := r.ask("long", "/?hold"), r.ask("short", "/?1000")
	begin := time.Now()
	_ = syscall.Kill(r.pid, syscall.SIGTERM)
	if a, took := <-short, time.Since(begin); a.status != http.StatusServiceUnavailable || took < time.Second {
		t.Errorf("status %d after %v, want 503 when the worker has had its time, and shutdown_timeout", a.status, took)
	}
	release()
	if a := <-long; a.status != 200 {
		t.Errorf("the other site: status %d", a.status)
	}
	r.wantEnd("short", `signal killed \(9\)`, ` running="GET /\?…" limit=shutdown_timeout`)
	r.wantEnd("long", "exit status 0", "")
}

// TestDown_NobodyWaitsForASlowClient: down waits for a slow client no longer than the
// timeout of its site.
func TestDown_NobodyWaitsForASlowClient(t *testing.T) {
	r := upForDown(t)
	conn := r.raw()
	fmt.Fprint(conn, "GET /static/large HTTP/1.1\r\nHost: short.example.com\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r.must("down")
	if took := time.Since(begin); took < time.Second || took > patience {
		t.Errorf("it was down after %v, want some time after 1 s", took)
	}
	r.wantEnd("short", "exit status 0", "")
}
