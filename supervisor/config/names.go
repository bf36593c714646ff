package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
)

func (d *siteDraft) readServerName() {
	var name string
	if d.table.String("server_name", &name) {
		d.ServerName = d.name("server_name", tomlfile.Item{Value: name, Position: d.table.Position("server_name")})
	}
}

func (d *siteDraft) readAliases() {
	items, _ := d.table.Items("server_alias")
	for _, item := range items {
		d.Aliases = append(d.Aliases, d.name("server_alias", item))
	}
}

// name normalizes one name and records where it stands. It returns "" for a name that
// is none.
func (d *siteDraft) name(key string, item tomlfile.Item) string {
	name, hint := normalizeName(item.Value)
	if hint != "" {
		d.table.ProblemAt(item.Position, key, fmt.Sprintf("%q is not a host name", item.Value), hint)
		return ""
	}
	d.names = append(d.names, nameAt{name, key, item.Position})
	return name
}

// nameAt is a server name or alias and where it stands.
type nameAt struct {
	name, key string
	position  tomlfile.Position
}

// checkNames reports every name that two sites have, and every second default.
// Two sites may share a host if they are mounted at different prefixes.
func (l *loader) checkNames() {
	type place struct{ host, mount string }
	type owner struct {
		site string
		at   tomlfile.Position
	}
	owners := map[place]owner{}
	secured := map[string]*siteDraft{} // the first site of a host
	var fallback *siteDraft
	for _, d := range l.drafts {
		for _, n := range d.names {
			first, taken := owners[place{n.name, d.Mount}]
			if taken {
				d.table.ProblemAt(n.position, n.key, fmt.Sprintf("%q is a name of site %s already (%s)", n.name, first.site, first.at), "")
				continue
			}
			owners[place{n.name, d.Mount}] = owner{d.Name, n.position}
			if other := secured[n.name]; other == nil {
				secured[n.name] = d
			} else if other.TLS != d.TLS {
				d.table.ProblemAt(d.tlsPosition(), "tls", fmt.Sprintf("site %s has the name %q, too, and another tls", other.Name, n.name), "a host has one certificate: write the same for all sites of it")
			}
		}
		if d.Default && fallback != nil {
			d.table.Problem("default", fmt.Sprintf("site %s is the default already (%s)", fallback.Name, fallback.table.Position("default")), "")
		} else if d.Default {
			fallback = d
		}
	}
}

// normalizeName returns name in lower case without a port or a final dot, or a hint
// if it is not a host name. "*.example.com" is a host name here.
func normalizeName(name string) (normal, hint string) {
	host := strings.ToLower(name)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Trim(host[i+1:], "0123456789") == "" && !isIPv6(host) {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	if isIPv6(host) {
		addr, _ := netip.ParseAddr(strings.Trim(host, "[]"))
		return "[" + addr.String() + "]", ""
	}
	if !isHostName(strings.TrimPrefix(host, "*.")) {
		if !isASCII(host) {
			return "", `write it as browsers send it, in its "xn--" form`
		}
		return "", `use letters, digits, "-", "_" and dots; "*." may come first`
	}
	return host, ""
}

func isIPv6(host string) bool {
	inner := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		inner = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(inner)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// isHostName reports whether host is a host name or an IPv4 address.
func isHostName(host string) bool {
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInLabel) {
			return false
		}
	}
	return true
}

func notInLabel(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}
