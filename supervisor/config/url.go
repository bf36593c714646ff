package config

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// URL returns an address of the site, on a front door that listens on addrs, and with TLS on
// secure. It prefers a name that opens in a browser on this machine: one below .localhost
// needs no DNS (RFC 6761).
func (s *Site) URL(addrs, secure []string) string {
	names := append([]string{s.ServerName}, s.Aliases...)
	name := names[0]
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".localhost") && n[0] != '*' }); i >= 0 {
		name = names[i]
	}
	scheme, usual := "http://", "80"
	if s.TLS.Mode != TLSOff && len(secure) > 0 {
		scheme, usual, addrs = "https://", "443", secure
	}
	if len(addrs) == 0 {
		return scheme + name + s.Mount + "/"
	}
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return scheme + name + s.Mount + "/"
	}
	if name == "" { // a default site without a name of its own
		name = host
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
			name = "localhost"
		}
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if port != usual {
		name += ":" + port
	}
	return scheme + name + s.Mount + "/"
}
