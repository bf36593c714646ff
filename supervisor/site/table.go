package site

import (
	"slices"
	"strings"
	"sync/atomic"
)

// Route says which requests are a site's.
type Route struct {
	Hosts   []string // normalized names, or "*.example.com"
	Mount   string   // "/" or "/sub"
	Default bool     // also for hosts that no route names
	Site    *Site
}

// Table finds the site of a request. An exact name beats a wildcard, a longer wildcard
// a shorter one, a longer mount a shorter one; of two routes that say the same the
// first counts. A Table does not change, so that any goroutine may read it.
type Table struct {
	exact     map[string][]mount
	wildcards map[string][]mount // by what follows the star: ".example.com"
	fallback  []mount            // of the default routes
}

// mount is one route of a host. The slices of a Table have the longest path first.
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

// CurrentTable holds the table of now. Any goroutine may use it.
type CurrentTable struct {
	table atomic.Pointer[Table] // nil: of no route
}

// Set replaces the table for all requests that begin from now on.
func (c *CurrentTable) Set(t *Table) { c.table.Store(t) }

// Lookup is Table.Lookup of the current table.
func (c *CurrentTable) Lookup(host, path string) (site *Site, known bool) {
	if t := c.table.Load(); t != nil {
		return t.Lookup(host, path)
	}
	return nil, false
}

// insert adds a mount and keeps the longest path first.
func insert(mounts []mount, m mount) []mount {
	mounts = append(mounts, m)
	slices.SortStableFunc(mounts, func(a, b mount) int { return len(b.path) - len(a.path) })
	return mounts
}

// Lookup returns the site of a normalized host name and a path, or nil, and reports
// whether any route has the name.
func (t *Table) Lookup(host, path string) (site *Site, known bool) {
	if mounts, ok := t.exact[host]; ok {
		return pick(mounts, path), true
	}
	for rest := host; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			return pick(t.fallback, path), false
		}
		if mounts, ok := t.wildcards[rest[dot:]]; ok {
			return pick(mounts, path), true
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
