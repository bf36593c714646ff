package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/control"
)

// registry is the sites of a supervisor. A reload adds and removes some.
type registry struct {
	mu sync.Mutex
	// mu protects all below.
	sites   []*site                    // in order of name; never changed in place, since all returns it
	removed []*site                    // removed sites of which something still runs
	start   func(t *site, after *site) // starts a site, its tasks after those of a removed one; nil before Run
}

// all returns the sites of now, in order of name. The caller must not change the slice.
func (r *registry) all() []*site {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sites
}

// find returns a site by its name, or an error for a person that mistyped it.
func (r *registry) find(name string) (*site, error) {
	var names []string
	for _, t := range r.all() {
		if t.name == name {
			return t, nil
		}
		names = append(names, t.name)
	}
	e := &control.Error{Message: fmt.Sprintf("no site %q", name), Usage: true}
	if near := tomlfile.Nearest(name, names); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, e
}

// startAll starts the sites that there are, and lets add start more.
func (r *registry) startAll(start func(t, after *site)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.start = start
	for _, t := range r.sites {
		start(t, nil)
	}
}

// add starts a new site, unless refused returns an error.
func (r *registry) add(t *site, refused func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := refused(); err != nil {
		return err
	}
	sites := append(slices.Clone(r.sites), t)
	slices.SortFunc(sites, func(a, b *site) int { return strings.Compare(a.name, b.name) })
	r.sites = sites
	var after *site
	for _, o := range r.removed {
		if o.name == t.name {
			after = o
		}
	}
	r.start(t, after)
	return nil
}

// remove removes a site. Its workers are the caller's to end; then it calls forget.
func (r *registry) remove(t *site) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites = slices.DeleteFunc(slices.Clone(r.sites), func(o *site) bool { return o == t })
	r.removed = append(r.removed, t)
}

// forget reports whether a site was removed, and is called when nothing of it runs any
// more.
func (r *registry) forget(t *site) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.removed)
	r.removed = slices.DeleteFunc(r.removed, func(o *site) bool { return o == t })
	return len(r.removed) < before
}

// leaving returns the removed sites of which something still runs.
func (r *registry) leaving() []*site {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.removed)
}
