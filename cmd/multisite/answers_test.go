package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestAnswers_WhenTheWorkerFails checks what the visitor gets, and what is logged, when a
// worker dies, raises an exception or takes too long.
func TestAnswers_WhenTheWorkerFails(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 2\nrequest_timeout = \"700ms\"\nshutdown_timeout = \"200ms\"\n"+subdomain1)
	for _, part := range []struct {
		name string
		test func(*testing.T, *running)
	}{
		{"an exception is a 500", raises},
		{"a death of a POST is a 502", diesOnPost},
		{"a death of a GET is tried once more", diesOnGet},
		{"request_timeout is a 504", overruns},
	} {
		t.Run(part.name, func(t *testing.T) {
			r := r.in(t)
			part.test(t, r)
			r.waitSite("subdomain1", "running")
		})
	}
}

func raises(t *testing.T, r *running) {
	a := r.get(host1, "/probe/error/")
	if a.status != 500 || strings.Contains(a.body, "raised on purpose") || strings.Contains(a.body, "Traceback") {
		t.Errorf("status %d, want 500 without the reason:\n%s", a.status, a.body)
	}
	r.wantLogged(`subdomain1/\d RuntimeError: probe: raised on purpose`)
	if n := r.site("subdomain1").Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
}

func diesOnPost(t *testing.T, r *running) {
	before := r.pids("subdomain1")
	req := newRequest(t, http.MethodPost, host1, "/probe/crash/?post", nil)
	const token = "abcdefghijklmnopqrstuvwxyz012345"
	req.Header.Set("Cookie", "csrftoken="+token)
	req.Header.Set("X-Csrftoken", token)
	a, err := r.newVisitor().do(req)
	if err != nil || a.status != http.StatusBadGateway || !strings.Contains(a.body, "502 Bad Gateway") {
		t.Errorf("status %d, %v, want 502 and a page:\n%s", a.status, err, a.body)
	}
	r.waitDeaths(before, 1)
	r.wantLogged(`msg="request failed" status=502 .* request="POST /probe/crash/\?…" worker=subdomain1/\d`)
	r.wantLogged(`msg="worker ended" worker=subdomain1/\d pid=\d+ reason=crash exit="signal killed \(9\)" .* running="POST /probe/crash/\?…"`)
}

func diesOnGet(t *testing.T, r *running) {
	before := r.pids("subdomain1")
	if a := r.get(host1, "/probe/crash/"); a.status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", a.status)
	}
	r.waitDeaths(before, 2)
	if n := strings.Count(r.siteLog("subdomain1"), `running="GET /probe/crash/"`); n != 2 {
		t.Errorf("it killed %d workers, want 2", n)
	}
	if n := strings.Count(r.siteLog("subdomain1"), `msg="request repeated on another worker"`); n != 1 {
		t.Errorf("it was repeated %d times, want once", n)
	}
}

func overruns(t *testing.T, r *running) {
	before := r.pids("subdomain1")
	start := time.Now()
	a := r.get(host1, "/probe/sleep/?ms=60000")
	took := time.Since(start)
	if a.status != http.StatusGatewayTimeout || took < 700*time.Millisecond || took > 20*time.Second {
		t.Errorf("status %d after %v, want 504 after 700ms", a.status, took)
	}
	r.waitDeaths(before, 1)
	r.wantLogged(`msg="request failed" status=504 limit=request_timeout .* request="GET /probe/sleep/\?…"`)
	r.wantLogged(`subdomain1/\d   File ".*/probe/views.py", line \d+ in sleep`)
	r.wantLogged(`msg="worker ended" .* reason=request_timeout .* running="GET /probe/sleep/\?…"`)
}

// TestAnswers_CutWithTheWorker (E10): a worker dies in the middle of an answer: a small
// one that the fast loop reads, one that takes longer than the loop waits, and one that is
// spooled. The loop never gets a request with a body.
func TestAnswers_CutWithTheWorker(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 9\n"+subdomain1) // one more than die, so that no request waits for a new worker
	cut := 0
	for _, answer := range []struct {
		query, body string
		sent        int
	}{
		{"n=1&bytes=1000", "", 1000},
		{"n=3&bytes=1000&ms=50", "", 3000},
		{"n=3&bytes=70000", "", 210000},
		{"n=3&bytes=70000", "body", 210000},
	} {
		for _, length := range []string{"", fmt.Sprintf("&length=%d", answer.sent+1)} { // without it: chunked
			path := "/probe/crash-mid/?" + answer.query + length
			resp, err := r.newVisitor().http.Do(newRequest(t, http.MethodGet, host1, path, strings.NewReader(answer.body)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || len(got) != answer.sent || !errors.Is(err, io.ErrUnexpectedEOF) ||
				(resp.ContentLength < 0) != (length == "") {
				t.Errorf("%s: status %d, %d bytes of %d, then %v, want what was sent and then no clean end",
					path, resp.StatusCode, len(got), resp.ContentLength, err)
			}
			cut++
			eventually(t, "the log to have each cut answer", func() bool { return strings.Count(r.siteLog("subdomain1"), `msg="answer cut" `) == cut })
		}
	}
}

// waitDeaths waits until the site runs again without n of the processes in before.
func (r *running) waitDeaths(before map[int]bool, n int) {
	r.t.Helper()
	eventually(r.t, "the site to run again", func() bool {
		same := 0
		s := r.site("subdomain1")
		for _, w := range s.Workers {
			if before[w.PID] {
				same++
			}
		}
		return s.State == "running" && len(s.Workers) == 2 && same == 2-n
	})
}

// wantLogged waits for a line in the site's log. It may come after the answer.
func (r *running) wantLogged(pattern string) {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	eventually(r.t, "the log to say "+pattern, func() bool { return re.MatchString(r.siteLog("subdomain1")) })
}
