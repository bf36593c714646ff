package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
)

// The worker of each of these sites exits for the reason that the site is named after.
const reasonSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "limits.wsgi"
shutdown_timeout = "1s"
env = { GORACE = "atexit_sleep_ms=0" }
[site.scale]
server_name = "scale.example.com"
processes = 2
[site.reload]
server_name = "reload.example.com"
[site.restart]
server_name = "restart.example.com"
[site.maximum_requests]
server_name = "maximum-requests.example.com"
maximum_requests = 3
[site.restart_interval]
server_name = "restart-interval.example.com"
restart_interval = "700ms"
[site.inactivity]
server_name = "inactivity.example.com"
processes = { min = 0, max = 1 }
inactivity_timeout = "700ms"
[site.memory_limit]
server_name = "memory-limit.example.com"
memory_limit = "50MB"
[site.oom]
server_name = "oom.example.com"
app = "./goapp"
memory_limit_hard = "1GB"
[site.request_timeout]
server_name = "request-timeout.example.com"
request_timeout = "700ms"
[site.startup_timeout]
server_name = "startup-timeout.example.com"
wsgi = "slow.wsgi"
startup_timeout = "700ms"
env = { PYTHONHASHSEED = "1" } # what the others share does not wait for it
[site.cpu_time_limit]
server_name = "cpu-time-limit.example.com"
cpu_time_limit = "200ms"
[site.crash]
server_name = "crash.example.com"
`

const limitsScript = `
import os, time

kept = []

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        time.sleep(60)
    if path == "/die":
        os.kill(os.getpid(), 9)
        time.sleep(60)
    if path == "/leak":
        kept.append(b"x" * 60_000_000)
    if path == "/compute":
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d\n" % os.getpid()]
`

// TestReasons_StandWhereOneLooks: each exit of a worker is in status, in the journal and in
// one line of the log, with its reason and what the worker had done.
func TestReasons_StandWhereOneLooks(t *testing.T) {
	t.Parallel()
	for name, preload := range map[string]string{"preload": "", "no preload": "preload = false\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sites := strings.Replace(reasonSites, "[defaults]\n", "[defaults]\n"+preload, 1)
			r := newRunning(t, newDir(t, sites))
			writeFile(t, filepath.Join(r.dir, "limits.wsgi"), limitsScript)
			writeFile(t, filepath.Join(r.dir, "slow.wsgi"), "import time\ntime.sleep(60)\n")
			build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
			r.start()
			t.Cleanup(func() { endIgnoringErrors(r) })
			reasons(t, r)
		})
	}
}

// reason is a way to make a worker exit, and how the exit is described.
type reason struct {
	name, exit, requests, running string
	do                            func(*running)
}

var everyReason = []reason{
	{"scale", "exit status 0", "0", "", func(r *running) { r.must("scale", "scale=1") }},
	{"reload", "exit status 0", "0", "", func(r *running) {
		if err := os.Chtimes(filepath.Join(r.dir, "limits.wsgi"), time.Now(), time.Now()); err != nil { // counts as new code
			r.t.Fatal(err)
		}
		r.must("reload", "reload")
	}},
	{"restart", "exit status 0", "0", "", func(r *running) { r.must("restart", "restart") }},
	{"maximum_requests", "exit status 0", "[345]", "", func(r *running) {
		for range 5 {
			r.askSite("maximum_requests", "/")
		}
	}},
	{"restart_interval", "exit status 0", "0", "", func(*running) {}},
	{"inactivity", "exit status 0", "1", "", func(r *running) { r.askSite("inactivity", "/") }},
	{"memory_limit", "exit status 0", "[01]", "", func(r *running) { r.askSite("memory_limit", "/leak") }},
	// A GET would be repeated, and a second Go program without memory may end in other words.
	{"oom", "exit status 2", "[01]", "POST /leak?…", func(r *running) {
		_, _ = r.newVisitor().do(newRequest(r.t, http.MethodPost, hostOf("oom"), "/leak?mb=2000", nil)) // 502
	}},
	{"request_timeout", "signal killed (9)", "1", "GET /sleep?…", func(r *running) { r.askSite("request_timeout", "/sleep?token=secret") }},
	{"startup_timeout", "signal killed (9) before it was ready", "0", "", func(*running) {}},
	{"cpu_time_limit", "exit status 0", "[01]", "", func(r *running) { r.askSite("cpu_time_limit", "/compute") }},
	{"crash", "signal killed (9)", "[01]", "GET /die", func(r *running) { r.askSite("crash", "/die") }},
}

func reasons(t *testing.T, r *running) {
	for _, tt := range everyReason {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "oom" && r.hasGroups() {
				tt.exit = "signal killed (9)"
			}
			tt.do(r.in(t))
			tt.wantSaid(t, r.in(t))
		})
	}
	r.must("down")
	<-r.end.ch
	stopped := regexp.MustCompile(`msg="worker ended" worker=scale/1 pid=\d+ reason="supervisor stop" exit="exit status 0" age=`)
	if !stopped.MatchString(r.siteLog("scale")) {
		t.Errorf("the log has no end for supervisor stop:\n%s", r.siteLog("scale"))
	}
	wantJournal(t, r)
}

// wantSaid checks status and log.
func (want reason) wantSaid(t *testing.T, r *running) {
	last := regexp.MustCompile(`^` + want.name + `/\d pid [1-9]\d*: ` + want.name + `, ` + regexp.QuoteMeta(want.exit))
	eventually(t, "status to say "+last.String(), func() bool { return last.MatchString(r.site(want.name).LastExit) })
	if said := r.site(want.name).LastExit; !want.tells(said) {
		t.Errorf("status says %q, want what ran: %q", said, want.running)
	}
	line := regexp.MustCompile(`msg="worker (ended|failed to start)" worker=` + want.name + `/\d pid=[1-9]\d* reason=` + want.name +
		` exit="` + regexp.QuoteMeta(want.exit) + `" age=\d\S+ requests=` + want.requests + `\b.*`)
	found := line.FindString(r.siteLog(want.name))
	if found == "" || !strings.Contains(found, want.running) {
		t.Errorf("no line of the log has it all: %q\n%s", found, r.siteLog(want.name))
	}
}

// tells checks the description of an exit.
func (want reason) tells(said string) bool {
	lived := regexp.MustCompile(` after ` + want.requests + ` requests in \d[\d.ms]*(\n|$)`)
	return strings.Contains(said, want.running) && lived.MatchString(said)
}

// wantJournal checks that the journal has each exit, and none for another reason.
func wantJournal(t *testing.T, r *running) {
	j, err := journal.Open(filepath.Join(r.dir, ".multisite", "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	events, err := j.Events(t.Context(), journal.Filter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"supervisor stop": false}
	for _, want := range everyReason {
		known[want.name] = slices.ContainsFunc(events, func(e journal.Event) bool {
			return e.Site == want.name && e.Reason == want.name && e.PID > 0 && want.tells(e.Detail)
		})
	}
	for _, e := range events {
		if _, ok := known[e.Reason]; !ok && e.Kind != "worker ready" {
			t.Errorf("the journal has an end for %q: %+v", e.Reason, e)
		}
		if e.Reason == "supervisor stop" && e.PID > 0 && e.Detail != "" {
			known[e.Reason] = true
		}
	}
	for name, found := range known {
		if !found {
			t.Errorf("the journal has no complete exit for %s", name)
		}
	}
}

// askSite sends a request to the site NAME.example.com.
func (r *running) askSite(name, path string) answer {
	r.t.Helper()
	return r.get(hostOf(name), path)
}

func hostOf(site string) string { return strings.ReplaceAll(site, "_", "-") + ".example.com" }

// endIgnoringErrors is finish for a supervisor whose sites crash on purpose.
func endIgnoringErrors(r *running) {
	if !r.hasEnded() {
		r.must("down")
		<-r.end.ch
	}
	if left := leftProcesses(r.t, r.dir); len(left) > 0 {
		r.t.Errorf("processes left behind:\n%s", strings.Join(left, "\n"))
	}
	if r.t.Failed() {
		r.t.Log(r.log.String())
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
