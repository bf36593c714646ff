package proxy

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

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
	isProxy := isTrusted(r.RemoteAddr, trusted)
	for name := range r.Header {
		if strings.Contains(name, "_") || !isProxy && onlyProxy(name) {
			delete(r.Header, name)
		}
	}
	if !isProxy {
		return scheme
	}
	list := func(name string) string { return strings.Join(r.Header[name], ",") }
	f := forwarded{list("X-Forwarded-For"), list("X-Forwarded-Proto"), list("X-Forwarded-Host"), list("Forwarded")}
	v := f.visitor(trusted)
	if f.isOld() {
		delete(r.Header, "Forwarded")
	}
	if v.host != "" {
		r.Header["X-Forwarded-Host"] = []string{v.host}
	}
	if v.addr != "" {
		r.RemoteAddr = net.JoinHostPort(v.addr, v.port)
	}
	return cmp.Or(v.scheme, scheme)
}

// believe is clientOf for the Loop, where each header is there at most once.
func (r *simple) believe(trusted []netip.Prefix) {
	var f forwarded
	for _, field := range r.Fields {
		switch name, value := field[0], field[1]; {
		case !onlyProxy(name):
		case strings.EqualFold(name, "X-Forwarded-For"):
			f.addrs = value
		case strings.EqualFold(name, "X-Forwarded-Proto"):
			f.proto = value
		case strings.EqualFold(name, "X-Forwarded-Host"):
			f.host = value
		case strings.EqualFold(name, "Forwarded"):
			f.elements = value
		}
	}
	v := f.visitor(trusted)
	if f.isOld() {
		r.Fields = slices.DeleteFunc(r.Fields, func(field [2]string) bool { return strings.EqualFold(field[0], "Forwarded") })
	}
	if v.host != "" {
		r.Fields = append(r.Fields, [2]string{"X-Forwarded-Host", v.host})
	}
	if v.addr != "" {
		r.RemoteAddr, r.RemotePort = v.addr, v.port
	}
	r.Scheme = cmp.Or(v.scheme, r.Scheme)
}

// isTrusted tells whether a peer, "10.0.0.1:1234", may speak for others.
func isTrusted(peer string, trusted []netip.Prefix) bool {
	if len(trusted) == 0 {
		return false
	}
	addr, err := netip.ParseAddrPort(peer)
	return err == nil && contains(trusted, addr.Addr())
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// onlyProxy tells whether a header is a word of one proxy to the next.
func onlyProxy(name string) bool {
	return hasPrefixFold(name, "X-Forwarded-") || strings.EqualFold(name, "Forwarded")
}

// stripHop drops what concerns the connection. What a proxy says of the client is
// for us, whatever Connection says of it, and so is Host.
func stripHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); !onlyProxy(name) {
				h.Del(name)
			}
		}
	}
	for _, name := range wire.HopHeaders {
		delete(h, name)
	}
}
