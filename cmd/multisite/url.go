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
func siteURL(site *config.Site, addrs []string) string {
	names := append([]string{site.ServerName}, site.Aliases...)
	name := names[0]
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".localhost") && n[0] != '*' }); i >= 0 {
		name = names[i]
	}
	host, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		return "http://" + name + site.Mount + "/"
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
	if port != "80" {
		name += ":" + port
	}
	return "http://" + name + site.Mount + "/"
}
