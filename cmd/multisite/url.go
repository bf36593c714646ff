package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/config"
)

// siteURL returns an address of the site. It prefers a name that opens in a browser on
// this machine: one below .localhost needs no DNS (RFC 6761).
func siteURL(site *config.Site, addrs, secure []string) string {
	names := append([]string{site.ServerName}, site.Aliases...)
	name := names[0]
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".localhost") && n[0] != '*' }); i >= 0 {
		name = names[i]
	}
	scheme, usual := "http://", "80"
	if site.TLS.Mode != config.TLSOff && len(secure) > 0 {
		scheme, usual, addrs = "https://", "443", secure
	}
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return scheme + name + site.Mount + "/"
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
	return scheme + name + site.Mount + "/"
}
