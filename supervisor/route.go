package supervisor

import (
	"maps"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wsgi"
)

// publish gives the front door a table of all sites. The table that is set last has what
// was looked up last.
func (s *Supervisor) publish() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	var routes, old []front.Route
	for _, t := range s.sites.all() {
		if t.failed.Load() != nil { // sites.toml may have given its name to another site
			old = append(old, t.route())
		} else {
			routes = append(routes, t.route())
		}
	}
	s.proxy.SetTable(front.NewTable(append(routes, old...)))
	s.setCertificates()
}

// route returns the site as the front door sees it now.
func (t *site) route() front.Route {
	c := t.config()
	var asked *front.Asked
	if c.Kind == config.WSGI && c.Preload.LearnsWarmup() {
		asked = &t.warmup.asked
	}
	tunnels := c.MaxTunnels
	if c.Kind == config.WSGI { // which does not speak HTTP with its workers
		tunnels = 0
	}
	return front.Route{Hosts: hostsOf(c), Mount: c.Mount, Default: c.Default, Site: &front.Site{
		Name:           c.Name,
		Backend:        t,
		Fast:           t,
		RequestTimeout: c.RequestTimeout,
		MaxBody:        c.MaxBody,
		MaxPerAddress:  c.MaxClientsPerIP,
		Clients:        t.clients,
		MaxTunnels:     tunnels,
		Tunnels:        t.tunnels,
		Static:         t.staticRoutes(),
		Index:          c.Index,
		NoCompression:  c.Compress.Nothing,
		Encode:         coding.Rule{On: c.Compress.Answers, Types: c.Compress.Types},
		Sendfile:       namedRoutes(c, c.Sendfile, ""),
		Mount:          c.Mount,
		RedirectTo:     t.super.redirectPort(c),
		Challenges:     c.TLS.Mode == config.TLSAuto,
		HSTS:           c.HSTS,
		Asked:          asked,
		Stats:          t.stats,
		Log:            t.log.Logger,
		Access:         t.accessLog(c),
		Rules:          t.rules(c),
		Headers:        headersOf(c),
		Pages:          pagesOf(c),
	}}
}

// accessLog returns what writes an answered request to the access log; nil: nothing does.
func (t *site) accessLog(c *config.Site) func(*front.Entry) {
	switch c.AccessLog {
	case config.AccessOff:
		return nil
	case config.AccessJSON:
		name := c.Name
		return func(e *front.Entry) { t.access.Add(func(b []byte) []byte { return e.AppendJSON(b, name) }) }
	}
	return func(e *front.Entry) { t.access.Add(e.AppendCombined) }
}

// connectionLimits returns how many clients may be connected.
func connectionLimits(c *config.Config) fastloop.Limits {
	return fastloop.Limits{Connections: c.MaxConnections, PerAddress: c.MaxConnectionsPerIP}
}

// hostsOf returns the names that lead to a site, as the front door compares them.
func hostsOf(c *config.Site) []string {
	var hosts []string
	for _, name := range append([]string{c.ServerName}, c.Aliases...) {
		if normal, err := httphead.NormalizeHost(name); err == nil {
			name = normal // a wildcard stays as it is
		}
		if name != "" {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

// staticRoutes returns the directories that sites.toml names, then those that a Django
// site has reported itself; a file that is missing in the latter is requested from Django.
func (t *site) staticRoutes() []front.Static {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cfg.NoStatic {
		return nil
	}
	routes := namedRoutes(t.cfg, t.cfg.Static, t.cfg.Mount)
	for _, s := range t.static {
		if _, named := t.cfg.Static[strings.TrimPrefix(s.URL, t.cfg.Mount)]; !named && len(s.Dirs) > 0 {
			routes = append(routes, front.Static{Prefix: s.URL, Dirs: s.Dirs, As: readAs(t.cfg)})
		}
	}
	return routes
}

// namedRoutes returns the paths that sites.toml names. Of two that match, the longer one
// comes first.
func namedRoutes(c *config.Site, paths map[string]string, mount string) (routes []front.Static) {
	for _, prefix := range slices.Backward(slices.Sorted(maps.Keys(paths))) {
		routes = append(routes, front.Static{Prefix: mount + prefix, Dirs: []string{paths[prefix]}, Only: true, As: readAs(c)})
	}
	return routes
}

// readAs returns what runs a function with the rights of a site's user; nil: it has none.
func readAs(c *config.Site) func(func()) error {
	if c.Account == nil {
		return nil
	}
	return c.Account.Do
}

// setStatic sets where a new worker says that the static files are.
func (t *site) setStatic(static []wsgi.Static) {
	t.mu.Lock()
	same := slices.EqualFunc(t.static, static, func(a, b wsgi.Static) bool {
		return a.URL == b.URL && slices.Equal(a.Dirs, b.Dirs)
	})
	t.static = static
	t.mu.Unlock()
	if !same {
		t.super.publish()
	}
}
