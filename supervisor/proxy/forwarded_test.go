package proxy

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

const liarsHeader = "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-host: a\r\nX-FORWARDED-Anything: b\r\nForwarded: for=1.1.1.1\r\n" +
	"X_Forwarded_For: 6.6.6.6\r\nRemote_User: root\r\nX-Real: kept\r\nCookie: a=b\r\nAuthorization: Basic x\r\n" +
	"Connection: keep-alive, X-Hop ,x-other\r\nX-Hop: 1\r\nX-Other: 2\r\nKeep-Alive: 3\r\nTE: trailers\r\nUpgrade: x\r\n" +
	"Proxy-Authorization: x\r\nProxy-Connection: y\r\nTrailer: T\r\n"

// TestProxy_DropsHeadersThatClientsMayNotSend looks at what a worker gets.
func TestProxy_DropsHeadersThatClientsMayNotSend(t *testing.T) {
	t.Parallel()
	passed := []string{"Authorization", "Cookie", "X-Real", "X-Request-Id"}
	forwarded := []string{"X-Forwarded-Anything", "X-Forwarded-For", "X-Forwarded-Host"}
	for name, test := range map[string]struct {
		trusted []netip.Prefix
		want    []string
		addr    string
	}{
		"stranger": {nil, passed, "127.0.0.1:"},
		"proxy":    {prefixes("127.0.0.0/8"), append(passed, forwarded...), "1.1.1.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, says(200, "hello"))
			s := start(t, Options{TrustedProxies: test.trusted}, site.Route{Hosts: []string{"site.test"}, Site: &site.Site{Backend: b}})
			s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n" + liarsHeader + "\r\n").whole("GET")
			c := <-b.claimed
			slices.Sort(test.want)
			if got := slices.Sorted(maps.Keys(c.request.Header)); !slices.Equal(got, test.want) {
				t.Errorf("the worker got %q, want %q", got, test.want)
			}
			if !strings.HasPrefix(c.request.RemoteAddr, test.addr) {
				t.Errorf("the worker got the address %s, want %s", c.request.RemoteAddr, test.addr)
			}
			if e := <-s.entries; e.Client != hostOf(c.request.RemoteAddr) {
				t.Errorf("the access log got the address %s", e.Client)
			}
		})
	}
}

func TestProxy_GivesTheWorkerWhatTheClientAsked(t *testing.T) {
	t.Parallel()
	b := newBackend(t, says(200, "hello"))
	s := startSite(t, b)
	s.dial("GET //a%2Fb/../c?d=%20 HTTP/1.1\r\nHost: Site.TEST:81\r\n\r\n").whole("GET")
	c := <-b.claimed
	if r := c.request; r.RequestURI != "//a%2Fb/../c?d=%20" || r.Host != "Site.TEST:81" || r.URL.Scheme != "http" || r.URL.RawQuery != "d=%20" {
		t.Errorf("got %s %s %v", r.Host, r.RequestURI, r.URL)
	}
	if c.what != "GET //a%2Fb/../c?…" {
		t.Errorf("the claim is for %q", c.what)
	}
}

// TestProxy_DropsHopHeadersOfAnswers: hop-by-hop headers are dropped, and no header is
// invented.
func TestProxy_DropsHopHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, says(200, "<html>", "Connection", "close, X-Hop", "X-Hop", "1", "Keep-Alive", "2",
		"Transfer-Encoding", "gzip", "Upgrade", "x", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Kept", "3")))
	resp, body := s.do("GET", "/", nil)
	want := http.Header{"Set-Cookie": {"a=1", "b=2"}, "X-Kept": {"3"}, "Content-Length": {"6"}, "Date": resp.Header["Date"], "X-Request-Id": resp.Header["X-Request-Id"]}
	if !maps.EqualFunc(resp.Header, want, slices.Equal) || resp.Close || body != "<html>" {
		t.Errorf("got %v, close %v, %q", resp.Header, resp.Close, body)
	}
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
