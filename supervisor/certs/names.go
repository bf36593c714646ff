package certs

import (
	"net/netip"
	"slices"
	"strings"
)

// reserved are names that no public authority can know the owner of (RFC 2606, 6761, 6762,
// 7686, 8375, 9476, and ICANN's decision on "internal").
var reserved = []string{"localhost", "local", "internal", "test", "example", "invalid", "onion", "alt", "home.arpa"}

// ForbidsACME returns why no public authority gives a certificate for a normalized host; ""
// if one may. A wildcard would need a record in the DNS, which we do not write.
func ForbidsACME(host string) string {
	_, ipErr := netip.ParseAddr(strings.Trim(host, "[]"))
	switch {
	case strings.HasPrefix(host, "*."):
		return "a wildcard"
	case ipErr == nil:
		return "an address"
	case strings.Contains(host, "_"):
		return `a name with "_"`
	case slices.ContainsFunc(reserved, func(r string) bool { return host == r || strings.HasSuffix(host, "."+r) }):
		return "a reserved name"
	case !strings.Contains(host, "."):
		return "a name without a dot"
	}
	return ""
}
