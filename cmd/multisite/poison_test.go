package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const poisonScript = `
import os, signal
def application(environ, start_response):
    if environ["PATH_INFO"] == "/poison":
        os.kill(os.getpid(), signal.SIGSEGV)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`

const poisonSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
processes = 2
queue_timeout = "5s"
wsgi = "poison.wsgi"
[site.forked]
server_name = "forked.example.com"
[site.loaded]
server_name = "loaded.example.com"
preload = false
`

// TestPoison_TakesNothingFromOthers: one visitor after the other requests a page that kills
// each worker that runs it, and all others are answered.
func TestPoison_TakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, poisonSites))
	writeFile(t, filepath.Join(r.dir, "poison.wsgi"), poisonScript)
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	for name, times := range map[string]int{"forked": 40, "loaded": 12} {
		t.Run(name, func(t *testing.T) { poison(t, r.in(t), name, times) })
	}
}

func poison(t *testing.T, r *running, site string, times int) {
	host, over := site+".example.com", make(chan struct{})
	var others sync.WaitGroup
	for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodPost} {
		others.Go(func() { askUntil(t, r.newVisitor(), newRequest(t, method, host, "/", nil), over) })
	}
	v := r.newVisitor()
	for range times {
		if a := v.get(host, "/poison"); a.status != http.StatusBadGateway {
			t.Errorf("the poison: status %d, want 502", a.status)
		}
	}
	close(over)
	others.Wait()
	r.waitSite(site, "running")
	eventually(t, "the exit of each worker to be logged, two for the first poison and one for each other", func() bool {
		return strings.Count(r.siteLog(site), `running="GET /poison"`) == times+1
	})
	again := regexp.MustCompile(`msg="request repeated on another worker" worker=` + site + `/\d after=` + site + `/\d request="GET /poison" `)
	if n := len(again.FindAllString(r.siteLog(site), -1)); n != 1 {
		t.Errorf("it was repeated %d times, want once", n)
	}
}

// askUntil repeats a request until over is closed.
func askUntil(t *testing.T, v *visitor, req *http.Request, over <-chan struct{}) {
	for n := 1; ; n++ {
		if a, err := v.do(req); err != nil || a.status != 200 || a.body != "ok" {
			t.Errorf("%s %s, for the %dth time: %v, status %d", req.Method, req.URL, n, err, a.status)
			return
		}
		select {
		case <-over:
			return
		default:
		}
	}
}
