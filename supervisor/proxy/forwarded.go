package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientOf returns the scheme that the client used and its address, as host:port.
// A trusted peer's X-Forwarded-Proto and X-Forwarded-For are believed: of the
// latter the last address that is not itself a trusted proxy.
func clientOf(r *http.Request, trusted []netip.Prefix) (scheme, addr string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if len(trusted) == 0 {
		return scheme, r.RemoteAddr
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !contains(trusted, peer.Addr()) {
		return scheme, r.RemoteAddr
	}
	switch proto := r.Header.Get("X-Forwarded-Proto"); proto {
	case "http", "https":
		scheme = proto
	}
	return scheme, forwardedFor(r, trusted)
}

func forwardedFor(r *http.Request, trusted []netip.Prefix) string {
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // what stands before can not be trusted either
		}
		if !contains(trusted, addr) {
			return net.JoinHostPort(addr.Unmap().String(), "0")
		}
	}
	return r.RemoteAddr
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// hopHeaders concern one connection (RFC 9110, section 7.6.1) and are not passed on.
var hopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// stripRequest drops what a client may not say: connection headers, what only a
// proxy may claim, and names with an underscore, which CGI can not tell from a dash.
func stripRequest(h http.Header) {
	stripHop(h)
	for name := range h {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" || strings.Contains(name, "_") {
			delete(h, name)
		}
	}
}

func stripHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		delete(h, name)
	}
}
