package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// liveSites are sites of which the test changes keys that need no new worker.
const liveSites = `
listen = "127.0.0.1:0"
log_max_size = "64MB"
[defaults]
python_home = "${VENV}"
wsgi = "live.wsgi"
[site.slow]
server_name = "slow.example.com"
preload = false
startup_timeout = "10m"
[site.forked]
server_name = "forked.example.com"
processes = 2
startup_timeout = "10m"
static = { "/files/" = "one" }
[site.program]
server_name = "program.example.com"
app = "./goapp"
threads = 2
[site.threads]
server_name = "threads.example.com"
home = "code"
wsgi = "page:application"
`

const liveScript = `
import os, time

while os.path.exists("hang"):
    time.sleep(0.01)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/say":
        print("what is said\\n" * 1000, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here\n"]
`

// liveHeld answers when the file "hold" is gone.
const liveHeld = `
import os, time

def application(environ, start_response):
    while os.path.exists("../hold"):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"multithread %r\n" % environ["wsgi.multithread"]]
`

// TestReload_Live: a change that is reported to need no new worker is in effect.
func TestReload_Live(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, liveSites))
	writeFile(t, filepath.Join(r.dir, "live.wsgi"), liveScript)
	r.write(t, "code/page.py", liveHeld)
	r.write(t, "one/file.css", "one\n")
	r.write(t, "two/file.css", "two\n")
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"static", liveStatic},
		{"log_max_size, log_keep", liveLogs},
		{"keys that need a new start are named", liveNot},
		{"startup_timeout", liveStartupTimeout},
		{"threads of a Go site", liveThreads},
		{"threads beside bad code", threadsBesideBadCode},
	})
}

// live changes sites.toml and reloads. All workers must be the same afterwards.
func (r *running) live(want, old, now string) {
	r.t.Helper()
	before := map[string]map[int]bool{}
	for _, s := range r.status().Sites {
		before[s.Name] = r.pids(s.Name)
	}
	r.rewrite(old, now)
	r.wantReload(want)
	for site, pids := range before {
		if !maps.Equal(pids, r.pids(site)) {
			r.t.Errorf("%s has new processes", site)
		}
	}
}

func liveStatic(t *testing.T, r *running) {
	want := func(want string) {
		t.Helper()
		if a := r.askSite("forked", "/files/file.css"); a.status != http.StatusOK || a.body != want {
			t.Errorf("status %d, %q, want %q", a.status, a.body, want)
		}
	}
	const line = "static = { \"/files/\" = \"two\" }\n"
	want("one\n")
	r.live("forked: static changed, no worker restarted\n", `"one"`, `"two"`)
	want("two\n")
	r.live("forked: static changed, no worker restarted\n", line, "")
	want("here\n") // of the application
}

func liveLogs(t *testing.T, r *running) {
	aside := func(n int) string {
		return filepath.Join(r.dir, ".multisite", "logs", fmt.Sprintf("forked.log.%d", n))
	}
	say := func() { r.askSite("forked", "/say") }
	r.live("log_max_size, log_keep changed\n", `log_max_size = "64MB"`, "log_max_size = \"10KB\"\nlog_keep = 2")
	eventually(t, "two old log files", func() bool { say(); return exists(aside(2)) })
	r.live("log_max_size, log_keep changed\n", "log_keep = 2", "log_keep = 1")
	eventually(t, "one of them to be removed", func() bool { say(); return !exists(aside(2)) })
	if !exists(aside(1)) {
		t.Error("the other is gone, too")
	}
}

// liveNot: a reload names the keys that need a new start, and applies nothing.
func liveNot(t *testing.T, r *running) {
	const first = "listen = \"127.0.0.1:0\"\n"
	for key, now := range map[string]string{
		"listen":          "listen = \"127.0.0.2:0\"\n",
		"dashboard":       first + "dashboard = \"127.0.0.1:0\"\n",
		"trusted_proxies": first + "trusted_proxies = [\"192.0.2.1\"]\n",
	} {
		r.rewrite(first, now)
		got := r.multisite("reload")
		if want := "a change of " + key + " needs a new start; nothing was reloaded\n"; got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: exit %d, %q\n%s", key, got.code, got.stdout, got.stderr)
		}
		r.rewrite(now, first)
	}
}

// liveStartupTimeout: the next launch has only the new timeout, in an interpreter of its
// own as well as from a new zygote.
func liveStartupTimeout(t *testing.T, r *running) {
	for _, site := range []string{"slow", "forked"} {
		r.live(site+": startup_timeout changed, no worker restarted\n", `startup_timeout = "10m"`, `startup_timeout = "3s"`)
		writeFile(t, filepath.Join(r.dir, "hang"), "")
		for _, c := range children(t, r.pid) {
			if c.name == "zyg "+site { // before a worker is forked from it
				kill(t, c.pid)
			}
		}
		for pid := range r.pids(site) {
			kill(t, pid)
		}
		last := regexp.MustCompile(`^` + site + `/\d pid \d+: startup_timeout, `)
		eventually(t, "a launch to take too long", func() bool { return last.MatchString(r.site(site).LastExit) })
		if err := os.Remove(filepath.Join(r.dir, "hang")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the site to run again", func() bool { return r.site(site).State == "running" })
	}
}

func liveThreads(t *testing.T, r *running) {
	r.live("program: threads changed, no worker restarted\n", "threads = 2", "threads = 3")
	release := r.holdFile()
	r.wantAtOnce("program", "/hold?file="+url.QueryEscape(filepath.Join(r.dir, "hold")), 3, release)
}

// threadsBesideBadCode: old workers that serve on keep their number of threads.
func threadsBesideBadCode(t *testing.T, r *running) {
	const site = "[site.threads]\n"
	before := r.pids("threads")
	r.rewrite(site, site+"threads = 5\n")
	r.write(t, "code/page.py", "import no_such_thing\n")
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, "threads: not changed, its old workers serve on\n") {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if now := r.pids("threads"); !maps.Equal(now, before) {
		t.Errorf("workers %v, were %v", now, before)
	}
	r.wantAtOnce("threads", "/", 1, r.holdFile())
	r.write(t, "code/page.py", liveHeld)
	r.must("reload")
	r.wantAtOnce("threads", "/", 5, r.holdFile())
	if a := r.askSite("threads", "/"); a.body != "multithread True\n" {
		t.Errorf("got %q", a.body)
	}
}

// holdFile creates the file "hold", on which requests wait. release removes it.
func (r *running) holdFile() (release func()) {
	r.t.Helper()
	path := filepath.Join(r.dir, "hold")
	writeFile(r.t, path, "")
	r.t.Cleanup(func() { _ = os.Remove(path) }) // in case the test failed before release
	return func() {
		if err := os.Remove(path); err != nil {
			r.t.Fatal(err)
		}
	}
}

// wantAtOnce sends a site with one worker more requests than it may take, checks how many
// it takes at once, and calls release.
func (r *running) wantAtOnce(site, path string, want int, release func()) {
	r.t.Helper()
	const requests = 6
	answers := make(chan answer, requests)
	for range requests {
		go func() {
			a, _ := r.newVisitor().do(newRequest(r.t, http.MethodGet, hostOf(site), path, nil)) // a zero answer after an error
			answers <- a
		}()
	}
	eventually(r.t, fmt.Sprintf("%d of %d requests to be taken", want, requests), func() bool {
		now := r.site(site).Requests
		return now.Active == want && now.Queued == requests-want
	})
	if s := r.site(site); s.Threads != want {
		r.t.Errorf("status says %d threads, want %d", s.Threads, want)
	}
	release()
	for range requests {
		if a := <-answers; a.status != http.StatusOK {
			r.t.Errorf("status %d\n%s", a.status, a.body)
		}
	}
}
