package proxy

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

func TestClientOf(t *testing.T) {
	t.Parallel()
	proxies := prefixes("10.0.0.0/8", "2001:db8::/32")
	tests := []struct {
		name    string
		peer    string
		trusted []netip.Prefix
		tls     bool
		for_    []string
		proto   []string
		addr    string
		scheme  string
	}{
		{name: "nobody trusted", peer: "10.0.0.1:5", for_: []string{"1.1.1.1"}, proto: []string{"https"}, addr: "10.0.0.1:5", scheme: "http"},
		{name: "our own TLS", peer: "1.1.1.1:5", tls: true, addr: "1.1.1.1:5", scheme: "https"},
		{name: "a stranger", peer: "8.8.8.8:5", trusted: proxies, for_: []string{"1.1.1.1"}, proto: []string{"https"}, addr: "8.8.8.8:5", scheme: "http"},
		{name: "silent proxy", peer: "10.0.0.1:5", trusted: proxies, addr: "10.0.0.1:5", scheme: "http"},
		{name: "one proxy", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"1.1.1.1"}, proto: []string{"https"}, addr: "1.1.1.1:0", scheme: "https"},
		{name: "a proxy behind TLS says http", peer: "10.0.0.1:5", trusted: proxies, tls: true, proto: []string{"http"}, addr: "10.0.0.1:5", scheme: "http"},
		{name: "spoofed first", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"6.6.6.6, 1.1.1.1"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "spoofed in a line of its own", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"6.6.6.6", "1.1.1.1"}, proto: []string{"https", "http"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "spoofed as a proxy", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"10.6.6.6, 1.1.1.1"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "chain of proxies", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"6.6.6.6,1.1.1.1 ,10.0.0.3,10.0.0.2"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "client among the proxies", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"10.0.0.77, 10.0.0.2"}, addr: "10.0.0.77:0", scheme: "http"},
		{name: "nonsense", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"1.1.1.1, unknown"}, proto: []string{"gopher"}, addr: "10.0.0.1:5", scheme: "http"},
		{name: "nonsense before a proxy", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"1.1.1.1, , 10.0.0.2"}, addr: "10.0.0.2:0", scheme: "http"},
		{name: "IPv6 client", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"2600::1"}, addr: "[2600::1]:0", scheme: "http"},
		{name: "IPv6 proxy", peer: "[2001:db8::1]:5", trusted: proxies, for_: []string{"1.1.1.1, 2001:db8::2"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "IPv6 stranger", peer: "[2600::1]:5", trusted: proxies, for_: []string{"1.1.1.1"}, addr: "[2600::1]:5", scheme: "http"},
		{name: "IPv4 in IPv6", peer: "[::ffff:10.0.0.1]:5", trusted: proxies, for_: []string{"::ffff:1.1.1.1, ::ffff:10.0.0.2"}, addr: "1.1.1.1:0", scheme: "http"},
		{name: "the proxy's word on both", peer: "10.0.0.1:5", trusted: proxies, for_: []string{"2600::1", "[2600::2]:7"}, proto: []string{"HTTPS"}, addr: "[2600::2]:7", scheme: "https"},
		{name: "a zone is no address", peer: "10.0.0.1:5", trusted: proxies, for_: []string{`fe80::1%x "GET /`}, addr: "10.0.0.1:5", scheme: "http"},
		{name: "not an address", peer: "@", trusted: proxies, for_: []string{"1.1.1.1"}, addr: "@", scheme: "http"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.for_, "X-Forwarded-Proto": test.proto}}
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			scheme := clientOf(r, test.trusted)
			if scheme != test.scheme || r.RemoteAddr != test.addr {
				t.Errorf("got %s from %s, want %s from %s", scheme, r.RemoteAddr, test.scheme, test.addr)
			}
		})
	}
}

const liarsHeader = "X-Forwarded-For: 1.1.1.1\r\nx-forwarded-host: a\r\nX-FORWARDED-Anything: b\r\nForwarded: for=1.1.1.1\r\n" +
	"X_Forwarded_For: 6.6.6.6\r\nRemote_User: root\r\nX-Real: kept\r\nCookie: a=b\r\nAuthorization: Basic x\r\n" +
	"Connection: keep-alive, X-Hop ,x-other\r\nX-Hop: 1\r\nX-Other: 2\r\nKeep-Alive: 3\r\nTE: trailers\r\nUpgrade: x\r\n" +
	"Proxy-Authorization: x\r\nProxy-Connection: y\r\nTrailer: T\r\n"

// TestProxy_DropsHeadersThatClientsMayNotSend looks at what a worker gets.
func TestProxy_DropsHeadersThatClientsMayNotSend(t *testing.T) {
	t.Parallel()
	passed := []string{"Authorization", "Cookie", "X-Real"}
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

// TestProxy_DropsHopHeadersOfAnswers also sees to it that nothing is invented.
func TestProxy_DropsHopHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, says(200, "<html>", "Connection", "close, X-Hop", "X-Hop", "1", "Keep-Alive", "2",
		"Transfer-Encoding", "gzip", "Upgrade", "x", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Kept", "3")))
	resp, body := s.do("GET", "/", nil)
	want := http.Header{"Set-Cookie": {"a=1", "b=2"}, "X-Kept": {"3"}, "Content-Length": {"6"}, "Date": resp.Header["Date"]}
	if !maps.EqualFunc(resp.Header, want, slices.Equal) || resp.Close || body != "<html>" {
		t.Errorf("got %v, close %v, %q", resp.Header, resp.Close, body)
	}
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
