package proxy

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// TestServer_ReportsRefusals: each refusal is reported once, with its reason, and with
// a site only if one was found.
func TestServer_ReportsRefusals(t *testing.T) {
	t.Parallel()
	refused := make(chan site.Refusal, 100)
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{Timeouts: Timeouts{Header: 300 * time.Millisecond}, Refused: func(r site.Refusal) { refused <- r }},
		func(s *site.Site) { s.MaxPerAddress, s.MaxBody = 1, 10 })
	want := func(text string, status int, site, host, why, line string) {
		t.Helper()
		p := f.dial(text)
		if resp, _ := p.whole("GET"); resp.StatusCode != status {
			t.Errorf("%.50q: got %d, want %d", text, resp.StatusCode, status)
		}
		r := <-refused
		if r.Status != status || r.Site != site || r.Host != host || r.Why != why || r.Line != line || r.Client != "127.0.0.1" || r.Time.IsZero() {
			t.Errorf("%.50q: told of %+v, want %d of %q at %q for %q, %q", text, r, status, site, host, why, line)
		}
	}
	const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n"
	want("GET /a HTTP/1.1\r\nHost: other.test\r\nUser-Agent: me\r\n\r\n", 421, "", "other.test", "no site has this name", "GET /a HTTP/1.1")
	want("GET /a HTTP/1.1\r\nHost: site..test\r\n\r\n", 400, "", "site..test", "bad Host header", "GET /a HTTP/1.1")
	want("GET /a HTTP/1.1\r\n\r\n", 400, "", "", "not one valid Host", "GET /a HTTP/1.1")
	want("GET /a HTTP/1.1\nHost: site.test\n\n", 400, "", "", "a line of the head ends with LF, not CRLF", "GET /a HTTP/1.1\nHost: site.test\n\n")
	want("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "", "", "a method of proxies", "CONNECT a:1 HTTP/1.1")
	want(hello, 400, "", "", "TLS, where HTTP is spoken", hello)
	want("\x01"+strings.Repeat("x", 9000), 400, "", "", "not HTTP", "\x01"+strings.Repeat("x", 512-1))
	want("GET /a HTTP/1.1\r\nX-A: "+strings.Repeat("a", httphead.MaxLength), 431, "", "", "the head is too large", "GET /a HTTP/1.1")
	want("GET /half HTTP/1.1\r\nHo", 408, "", "", "header_timeout", "GET /half HTTP/1.1")
	want("POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 11\r\n\r\n", 413, "site", "site.test", "max_body", "POST /a HTTP/1.1")
	slow := f.dial(get("/slow"))
	<-began
	want(get("/a"), 429, "site", "site.test", "max_clients_per_ip", "GET /a HTTP/1.1")
	letGo <- nil
	slow.wantBody("/slow")
	until(t, "ended", func() bool { return f.site.Clients.Len() == 0 })
	f.crew.stop(errors.New("stopped"))
	want(get("/a"), 503, "site", "site.test", "no worker", "GET /a HTTP/1.1")
	if len(refused) > 0 {
		t.Errorf("told of one more: %+v", <-refused)
	}
}

// TestServer_RefusesNothingOfSites: what a site answers, or fails to, is in its own log.
func TestServer_RefusesNothingOfSites(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, func(w *crewWorker, uri string) *wire.Answer {
		return &wire.Answer{Status: 400, Body: []byte(uri)}
	}), Options{Refused: func(r site.Refusal) { t.Errorf("told of %+v", r) }}, func(s *site.Site) {
		s.Static = []site.Static{{Prefix: "/static/", Dirs: []string{t.TempDir()}, Only: true}}
	})
	for uri, status := range map[string]int{"/a": http.StatusBadRequest, "/static/missing": http.StatusNotFound} {
		p := f.dial(get(uri))
		if resp, _ := p.whole("GET"); resp.StatusCode != status {
			t.Errorf("%s: got %d, want %d", uri, resp.StatusCode, status)
		}
	}
}
