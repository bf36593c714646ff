package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

func TestProxy_LogsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, fails(errDied), says(201, "hello")))
	begin := time.Now()
	s.do("GET", "/a?b", nil, "User-Agent", "test")
	e := <-s.entries
	line := string(e.AppendCombined(nil))
	if !strings.HasPrefix(line, "127.0.0.1 - - [") || !strings.Contains(line, `] "GET /a?b HTTP/1.1" 201 5 "-" "test" 0.`) || !strings.HasSuffix(line, " site/2 site.test "+e.ID+"\n") {
		t.Errorf("got %s", line)
	}
	if e.Time.Before(begin) || e.Took <= 0 || e.Took > time.Since(begin) {
		t.Errorf("got time %v, took %v", e.Time, e.Took)
	}
	s.do("POST", "/", strings.NewReader("x"))
	<-s.entries
}

// TestProxy_ServesSitesWithoutAccessLog: a site needs no access log. The test also
// checks our own page as browsers get it.
func TestProxy_ServesSitesWithoutAccessLog(t *testing.T) {
	t.Parallel()
	b := newBackend(t, fails(errMalformed))
	st := &site.Site{Backend: b}
	s := start(t, Options{}, site.Route{Hosts: []string{"site.test"}, Site: st})
	st.Access = nil
	resp, body := s.do("GET", "/", nil)
	h := resp.Header
	if h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Retry-After") != "" {
		t.Errorf("got %v", h)
	}
	want := "<h1>502 Bad Gateway</h1><p>The site broke off while it answered. Please try again.</p>"
	if !strings.Contains(body, want) || !strings.HasPrefix(body, "<!DOCTYPE html>\n") || strings.Contains(body, "%!") {
		t.Errorf("got %q", body)
	}
	if resp, body := s.do("HEAD", "/", nil); resp.StatusCode != 502 || body != "" {
		t.Errorf("HEAD: got %d %q", resp.StatusCode, body)
	}
}

func TestProxy_CountsRequests(t *testing.T) {
	t.Parallel()
	stats := &site.Stats{}
	s := startSite(t, newBackend(t, says(200, "hello"), says(500, "oops"), fails(errMalformed)), func(st *site.Site) {
		st.Stats = stats
	})
	for range 3 {
		s.do("GET", "/", nil)
		<-s.entries
	}
	s.dial("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n").whole("GET")
	if got := stats.Counts(); got.Total != 3 || got.Errors != 2 || got.P99 <= 0 {
		t.Errorf("got %+v", got)
	}
}
