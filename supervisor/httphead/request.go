package httphead

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// SetClient sets r.RemoteAddr to the client's address, and returns the scheme that the
// client used. What a trusted peer says of both is believed. Headers that only a proxy
// may send are dropped from any other peer. Names with an underscore are dropped from
// all, since CGI does not distinguish them from names with a dash.
func SetClient(r *http.Request, trusted []netip.Prefix) (scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	isProxy := IsTrusted(r.RemoteAddr, trusted)
	for name := range r.Header {
		if strings.Contains(name, "_") || !isProxy && OnlyProxy(name) {
			delete(r.Header, name)
		}
	}
	if !isProxy {
		return scheme
	}
	list := func(name string) string { return strings.Join(r.Header[name], ",") }
	f := Forwarded{For: list("X-Forwarded-For"), Proto: list("X-Forwarded-Proto"), Host: list("X-Forwarded-Host"), Elements: list("Forwarded")}
	c := f.Client(trusted)
	if f.Legacy() {
		delete(r.Header, "Forwarded")
	}
	if c.Host != "" {
		r.Header["X-Forwarded-Host"] = []string{c.Host}
	}
	if c.Addr != "" {
		r.RemoteAddr = net.JoinHostPort(c.Addr, c.Port)
	}
	return cmp.Or(c.Scheme, scheme)
}

// StripHop drops the headers of the connection. Host, and what a proxy says of the
// client, stay even if Connection names them.
func StripHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); !OnlyProxy(name) {
				h.Del(name)
			}
		}
	}
	for _, name := range wire.HopHeaders {
		delete(h, name)
	}
}
