package httphead

import (
	"fmt"
	"net/netip"
	"strings"
)

// NormalizeHost returns the name in a Host header in the form that tables of sites hold:
// lower case, without port and without one trailing dot. An IPv6 address keeps
// its brackets. "" stays "", because HTTP/1.0 needs no name.
func NormalizeHost(host string) (string, error) {
	if host == "" {
		return "", nil
	}
	name := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if !isPort(host[i+1:]) {
			return "", fmt.Errorf("port of host %q", host)
		}
		name = host[:i]
	}
	if strings.HasPrefix(name, "[") {
		return normalizeIPv6(name)
	}
	name = strings.TrimSuffix(name, ".")
	if !validName(name) {
		return "", fmt.Errorf("host %q", host)
	}
	return strings.ToLower(name), nil
}

func normalizeIPv6(name string) (string, error) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(name[1:], "]"))
	if err != nil || !addr.Is6() || addr.Zone() != "" || name[len(name)-1] != ']' {
		return "", fmt.Errorf("host %q", name)
	}
	return "[" + addr.String() + "]", nil
}

func isPort(s string) bool {
	return len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// validName accepts what DNS and browsers accept, and underscores, which are common.
func validName(name string) bool {
	if name == "" || len(name) > 253 || name[0] == '.' || strings.Contains(name, "..") || name[len(name)-1] == '.' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
