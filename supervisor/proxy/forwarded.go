package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// clientOf returns the scheme that the client used, and sees to it that
// r.RemoteAddr is the client's. What a trusted peer says of both is believed: of
// X-Forwarded-For the last address that is not itself a trusted proxy's, or the
// first. What only a proxy may say is dropped when it comes from anyone else.
func clientOf(r *http.Request, trusted []netip.Prefix) (scheme string) {
	scheme = "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if !isTrusted(r.RemoteAddr, trusted) {
		stripForwarded(r.Header)
		return scheme
	}
	if said := r.Header["X-Forwarded-Proto"]; len(said) > 0 {
		switch proto := said[len(said)-1]; proto {
		case "http", "https":
			scheme = proto
		}
	}
	r.RemoteAddr = forwardedFor(r, trusted)
	return scheme
}

func isTrusted(peer string, trusted []netip.Prefix) bool {
	if len(trusted) == 0 {
		return false
	}
	addr, err := netip.ParseAddrPort(peer)
	return err == nil && contains(trusted, addr.Addr())
}

func forwardedFor(r *http.Request, trusted []netip.Prefix) string {
	client := r.RemoteAddr
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // what stands before can not be trusted either
		}
		client = net.JoinHostPort(addr.Unmap().String(), "0")
		if !contains(trusted, addr) {
			break
		}
	}
	return client
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// stripForwarded drops what only a proxy may claim, and names with an underscore,
// which CGI can not tell from a dash.
func stripForwarded(h http.Header) {
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
	for _, name := range wire.HopHeaders {
		delete(h, name)
	}
}
