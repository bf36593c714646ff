package proxy

import (
	"strings"
	"testing"
	"time"
)

func TestEntry_AppendCombined(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -5*3600)
	tests := []struct {
		name  string
		entry Entry
		want  string
	}{
		{
			"a page", Entry{
				Client: "10.0.0.1", Line: "GET /a?b=c HTTP/1.1", Referer: "http://x/", Agent: "curl/8",
				Time: time.Date(2026, 11, 2, 3, 4, 5, 0, zone), Took: 1234567 * time.Nanosecond, Status: 200, Bytes: 12, Worker: "blog/1",
			}, `10.0.0.1 - - [02/Nov/2026:03:04:05 -0500] "GET /a?b=c HTTP/1.1" 200 12 "http://x/" "curl/8" 0.0012 blog/1`,
		}, {
			"IPv6, nothing said", Entry{
				Client: "::1", Line: "HEAD * HTTP/1.0",
				Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 61 * time.Second, Status: 499,
			}, `::1 - - [02/Jan/2026:03:04:05 +0000] "HEAD * HTTP/1.0" 499 0 "-" "-" 61.0000 -`,
		}, {
			"forged lines", Entry{
				Client: "@", Line: "GET /\" 200 1\n HTTP/1.1", Referer: "a\"b\\c", Agent: "x\r\n1.1.1.1 \x1b[2J \u00e9\u202e",
				Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Status: 404,
			}, `@ - - [02/Jan/2026:03:04:05 +0000] "GET /\" 200 1\n HTTP/1.1" 404 0 "a\"b\\c" "x\r\n1.1.1.1 \x1b[2J \u00e9\u202e" 0.0000 -`,
		},
	}
	for _, test := range tests {
		if got := string(test.entry.AppendCombined([]byte("> "))); got != "> "+test.want+"\n" {
			t.Errorf("%s:\ngot  %swant %s", test.name, got, test.want)
		}
	}
}

func TestProxy_LogsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, fails(errDied), says(201, "hello")))
	begin := time.Now()
	s.do("GET", "/a?b", nil, "User-Agent", "test")
	e := <-s.entries
	line := string(e.AppendCombined(nil))
	if !strings.HasPrefix(line, "127.0.0.1 - - [") || !strings.Contains(line, `] "GET /a?b HTTP/1.1" 201 5 "-" "test" 0.`) || !strings.HasSuffix(line, " site/2\n") {
		t.Errorf("got %s", line)
	}
	if e.Time.Before(begin) || e.Took <= 0 || e.Took > time.Since(begin) {
		t.Errorf("got time %v, took %v", e.Time, e.Took)
	}
	s.do("POST", "/", strings.NewReader("x"))
	<-s.entries
}

// TestProxy_ServesSitesWithoutAccessLog also checks our own page as browsers get it.
func TestProxy_ServesSitesWithoutAccessLog(t *testing.T) {
	t.Parallel()
	b := newBackend(t, fails(errMalformed))
	site := &Site{Backend: b}
	s := start(t, Options{}, Route{Hosts: []string{"site.test"}, Site: site})
	site.Access = nil
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
