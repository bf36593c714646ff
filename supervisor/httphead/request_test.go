package httphead

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

func TestSetClient(t *testing.T) {
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
			scheme := SetClient(r, test.trusted)
			if scheme != test.scheme || r.RemoteAddr != test.addr {
				t.Errorf("got %s from %s, want %s from %s", scheme, r.RemoteAddr, test.scheme, test.addr)
			}
		})
	}
}
