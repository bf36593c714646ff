package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Route says which requests are a site's.
type Route struct {
	Hosts   []string // normal names, or "*.example.com"
	Mount   string   // "/" or "/sub"
	Default bool     // also for hosts that no route names
	Site    *Site
}

// Table finds the site of a request. The order of routes never matters: an exact
// name beats a wildcard, a longer wildcard a shorter one, a longer mount a
// shorter one. A Table does not change.
type Table struct {
	exact     map[string][]mount
	wildcards map[string][]mount // by what follows the star: ".example.com"
	fallback  []mount
}

type mount struct {
	path string // "" or "/sub"
	site *Site
}

// NewTable returns the table of the routes.
func NewTable(routes []Route) *Table {
	t := &Table{exact: map[string][]mount{}, wildcards: map[string][]mount{}}
	for _, r := range routes {
		m := mount{path: strings.TrimSuffix(r.Mount, "/"), site: r.Site}
		for _, host := range r.Hosts {
			if suffix, ok := strings.CutPrefix(host, "*"); ok {
				t.wildcards[suffix] = insert(t.wildcards[suffix], m)
				continue
			}
			t.exact[host] = insert(t.exact[host], m)
		}
		if r.Default {
			t.fallback = insert(t.fallback, m)
		}
	}
	return t
}

// insert keeps the longest path first.
func insert(mounts []mount, m mount) []mount {
	mounts = append(mounts, m)
	slices.SortStableFunc(mounts, func(a, b mount) int { return len(b.path) - len(a.path) })
	return mounts
}

// Lookup returns the site of a normal host name and a path, or nil.
func (t *Table) Lookup(host, path string) *Site {
	if mounts, ok := t.exact[host]; ok {
		return pick(mounts, path)
	}
	for rest := host; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return pick(t.fallback, path)
		}
		if mounts, ok := t.wildcards[rest[dot:]]; ok {
			return pick(mounts, path)
		}
		rest = rest[dot+1:]
	}
}

func pick(mounts []mount, path string) *Site {
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(path, m.path); ok && (rest == "" || rest[0] == '/' || m.path == "") {
			return m.site
		}
	}
	return nil
}

var errHost = errors.New("not a host name")

// NormalizeHost returns the name in a Host header in the form that tables hold:
// lower case, without port and without one trailing dot. An address stays an
// address, without the brackets of IPv6.
func NormalizeHost(host string) (string, error) {
	name := host
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		if h, port, err := net.SplitHostPort(host); err == nil {
			if !isPort(port) {
				return "", fmt.Errorf("%w: port %q", errHost, port)
			}
			name = h
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		name = strings.TrimSuffix(inner, "]")
	}
	if strings.Contains(name, ":") {
		addr, err := netip.ParseAddr(name)
		if err != nil || addr.Zone() != "" {
			return "", fmt.Errorf("%w: %q", errHost, host)
		}
		return addr.String(), nil
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !validName(name) {
		return "", fmt.Errorf("%w: %q", errHost, host)
	}
	return name, nil
}

func isPort(s string) bool {
	return len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// validName accepts what DNS and browsers do, and underscores, which are common.
func validName(name string) bool {
	if name == "" || len(name) > 253 || name[0] == '.' || strings.Contains(name, "..") || name[len(name)-1] == '.' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
