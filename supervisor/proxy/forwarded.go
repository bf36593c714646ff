package proxy

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

// clientOf returns the scheme that the client used, and sees to it that
// r.RemoteAddr is the client's. What a trusted peer says of both is believed (forwarded).
// What only a proxy may say is dropped when it comes from anyone else, and a name with
// an underscore from whoever it comes: CGI can not tell it from one with a dash.
func clientOf(r *http.Request, trusted []netip.Prefix) (scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	isProxy := httphead.IsTrusted(r.RemoteAddr, trusted)
	for name := range r.Header {
		if strings.Contains(name, "_") || !isProxy && httphead.OnlyProxy(name) {
			delete(r.Header, name)
		}
	}
	if !isProxy {
		return scheme
	}
	list := func(name string) string { return strings.Join(r.Header[name], ",") }
	f := httphead.Forwarded{For: list("X-Forwarded-For"), Proto: list("X-Forwarded-Proto"), Host: list("X-Forwarded-Host"), Elements: list("Forwarded")}
	v := f.Client(trusted)
	if f.Legacy() {
		delete(r.Header, "Forwarded")
	}
	if v.Host != "" {
		r.Header["X-Forwarded-Host"] = []string{v.Host}
	}
	if v.Addr != "" {
		r.RemoteAddr = net.JoinHostPort(v.Addr, v.Port)
	}
	return cmp.Or(v.Scheme, scheme)
}

// believe is clientOf for the Loop, where each header is there at most once.
func (r *simple) believe(trusted []netip.Prefix) {
	var f httphead.Forwarded
	for _, field := range r.Fields {
		switch name, value := field[0], field[1]; {
		case !httphead.OnlyProxy(name):
		case strings.EqualFold(name, "X-Forwarded-For"):
			f.For = value
		case strings.EqualFold(name, "X-Forwarded-Proto"):
			f.Proto = value
		case strings.EqualFold(name, "X-Forwarded-Host"):
			f.Host = value
		case strings.EqualFold(name, "Forwarded"):
			f.Elements = value
		}
	}
	v := f.Client(trusted)
	if f.Legacy() {
		r.Fields = slices.DeleteFunc(r.Fields, func(field [2]string) bool { return strings.EqualFold(field[0], "Forwarded") })
	}
	if v.Host != "" {
		r.Fields = append(r.Fields, [2]string{"X-Forwarded-Host", v.Host})
	}
	if v.Addr != "" {
		r.RemoteAddr, r.RemotePort = v.Addr, v.Port
	}
	r.Scheme = cmp.Or(v.Scheme, r.Scheme)
}

// stripHop drops what concerns the connection. What a proxy says of the client is
// for us, whatever Connection says of it, and so is Host.
func stripHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); !httphead.OnlyProxy(name) {
				h.Del(name)
			}
		}
	}
	for _, name := range wire.HopHeaders {
		delete(h, name)
	}
}
