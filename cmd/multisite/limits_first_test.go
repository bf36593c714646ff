package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const firstSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "first.wsgi"
preload = false
graceful_timeout = "500ms"
shutdown_timeout = "500ms"
[site.leak]
server_name = "leak.example.com"
memory_limit = "60MB"
[site.thread]
server_name = "thread.example.com"
memory_limit = "60MB"
env = { BACKGROUND = "1" }
[site.spin]
server_name = "spin.example.com"
cpu_time_limit = "150ms"
[site.idle]
server_name = "idle.example.com"
cpu_time_limit = "150ms"
[site.large]
server_name = "large.example.com"
memory_limit = "5MB"
`

// firstScript takes more processor time to load than its sites' limit.
const firstScript = `
import os, threading, time

kept = []

def leak():
    while not os.path.exists("leak"):
        time.sleep(0.01)
    kept.append(b"x" * 80_000_000)

if os.environ.get("BACKGROUND"):
    threading.Thread(target=leak, daemon=True).start()
while time.process_time() < 0.3:
    pass

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        kept.append(b"x" * 80_000_000)
        time.sleep(1000)
    while environ["PATH_INFO"] == "/spin":
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here\n"]
`

// TestLimits_BeforeTheFirstAnswer: a worker is measured from its start, but what loading
// has taken is no reason to replace it.
func TestLimits_BeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, firstSites))
	writeFile(t, filepath.Join(r.dir, "first.wsgi"), firstScript)
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	idle := r.pids("idle")
	wantEnd := func(site, how string) {
		t.Helper()
		last := regexp.MustCompile(`^` + site + `/1 pid \d+: ` + how)
		eventually(t, "status to say "+last.String(), func() bool { return last.MatchString(r.site(site).LastExit) })
	}
	first := func(site, path string) { // a GET would be repeated
		_, _ = r.newVisitor().do(newRequest(t, http.MethodPost, hostOf(site), path, nil)) // 502
	}
	first("leak", "/leak")
	wantEnd("leak", "memory_limit, .*, while it ran POST /leak, after [01] requests ")
	first("spin", "/spin")
	wantEnd("spin", "cpu_time_limit, .*, while it ran POST /spin, after [01] requests ")
	writeFile(t, filepath.Join(r.dir, "leak"), "")
	wantEnd("thread", "memory_limit, .* after 0 requests ")
	if err := os.Remove(filepath.Join(r.dir, "leak")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the warning about a low limit", func() bool {
		return strings.Contains(r.site("large").LastError, "memory_limit = 5MB is less than the ")
	})
	if n := strings.Count(r.siteLog("large"), "reason=memory_limit"); n > 2 {
		t.Errorf("%d workers were replaced, want at most 2", n)
	}
	if log := r.siteLog("idle"); strings.Contains(log, "worker ended") {
		t.Errorf("workers %v were replaced:\n%s", idle, log)
	}
}
