package supervisor

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/pool"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/wsgi"
)

// site joins what belongs to one site: its settings, its workers, its log and
// its counters.
type site struct {
	name   string
	super  *Supervisor
	pool   *pool.Pool
	stats  *front.Stats
	guests *front.Clients
	log    *slog.Logger
	access *logs.AccessLog
	tasks  *task.Set     // services and cron entries
	ended  chan struct{} // closed when the last worker and the last task have

	meter     limits.Meter  // used by watchLimits alone, but for Problem
	rolling   chan struct{} // holds a value while the workers are replaced
	lastEnded string        // the last end of a worker before an upgrade, for status
	stale     string        // why the workers that an upgrade has left are to be replaced; "": they are not

	failed atomic.Pointer[status.Failure] // the last reload or restart, if it has; nil: all is as sites.toml said then

	mu sync.Mutex
	// mu protects all below
	cfg         *config.Site // as sites.toml says it now
	generations int
	current     *generation   // that workers are launched from
	retired     []*generation // whose last workers may still run
	rest        *time.Timer   // ends the zygote of a site that sleeps long
	static      []wsgi.Static // where the site's Django has its static files
}

// newSite returns a site of which nothing runs yet.
func (s *Supervisor) newSite(cfg *config.Site, look *code.Look) (*site, error) {
	t := s.bareSite(cfg)
	var err error
	if t.current, err = t.newGeneration(cfg, look); err != nil {
		t.access.Close()
		return nil, err
	}
	t.tasks = newTasks(t, cfg)
	t.pool = t.newPool(nil)
	return t, nil
}

// bareSite returns a site that has nothing to run.
func (s *Supervisor) bareSite(cfg *config.Site) *site {
	return &site{
		name: cfg.Name, super: s, stats: &front.Stats{}, guests: &front.Clients{}, log: s.logs.Logger(cfg.Name), access: s.logs.Access(cfg.Name),
		ended: make(chan struct{}), cfg: cfg, rolling: make(chan struct{}, 1),
	}
}

func (t *site) newPool(inherited *pool.Handover) *pool.Pool {
	return pool.New(pool.Options{
		Crowded:   t.super.processors.Crowded,
		Site:      t.name,
		Settings:  settingsOf(t.cfg),
		Launcher:  t.current,
		Observe:   t.observe,
		Inherited: inherited,
	})
}

// run runs the site until its pool was stopped and all has ended.
func (t *site) run(force context.Context) {
	defer close(t.ended)
	t.pool.Run(force)
	t.tasks.Stop() // only now: a request in flight may need them
}

// config is what sites.toml says of the site now.
func (t *site) config() *config.Site {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg
}

// configOf is what sites.toml says of the workers of a generation: while it is on
// trial, what it was made for.
func (t *site) configOf(g *generation) *config.Site {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g == t.current {
		return t.cfg
	}
	return g.cfg
}

func (t *site) setConfig(c *config.Site) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg = c
}

func settingsOf(c *config.Site) pool.Settings {
	return pool.Settings{
		Min:               c.Processes.Min,
		Max:               c.Processes.Max,
		Threads:           c.Threads,
		Backlog:           c.ListenBacklog,
		QueueTimeout:      c.QueueTimeout,
		GracefulTimeout:   c.GracefulTimeout,
		ShutdownTimeout:   c.ShutdownTimeout,
		InactivityTimeout: c.InactivityTimeout,
		MaximumRequests:   c.MaximumRequests,
		RestartInterval:   c.RestartInterval,
	}
}

// route is the site as the front door sees it now.
func (t *site) route() front.Route {
	c := t.config()
	return front.Route{Hosts: hostsOf(c), Mount: c.Mount, Default: c.Default, Site: &front.Site{
		Name:           c.Name,
		Backend:        t,
		Fast:           t,
		RequestTimeout: c.RequestTimeout,
		MaxBody:        c.MaxBody,
		MaxPerAddress:  c.MaxClientsPerIP,
		Clients:        t.guests,
		Static:         t.staticRoutes(),
		Stats:          t.stats,
		Log:            t.log,
		Access:         func(e front.Entry) { t.access.Add(e.AppendCombined) },
	}}
}

// hostsOf returns the names that lead to a site as the front door compares them.
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

// staticRoutes are the directories that sites.toml names, then those that a
// Django site told of itself; a file that is not in the latter is asked of Django.
func (t *site) staticRoutes() []front.Static {
	t.mu.Lock()
	defer t.mu.Unlock()
	var as func(func()) error
	if t.cfg.Account != nil {
		as = t.cfg.Account.Do
	}
	var routes []front.Static
	for _, prefix := range slices.Backward(slices.Sorted(maps.Keys(t.cfg.Static))) { // the longer of two first
		routes = append(routes, front.Static{Prefix: t.cfg.Mount + prefix, Dirs: []string{t.cfg.Static[prefix]}, Only: true, As: as})
	}
	if t.cfg.NoStatic {
		return nil
	}
	for _, s := range t.static {
		if _, named := t.cfg.Static[strings.TrimPrefix(s.URL, t.cfg.Mount)]; !named && len(s.Dirs) > 0 {
			routes = append(routes, front.Static{Prefix: s.URL, Dirs: s.Dirs, As: as})
		}
	}
	return routes
}

// setStatic takes note of where a new worker says the static files are.
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

// roll replaces all workers by those of a new generation, and calls switched when
// they are what serves. When the first of them does not start, the old ones stay.
func (t *site) roll(ctx context.Context, next *generation, reason pool.Reason, switched func()) (err error) {
	select {
	case t.rolling <- struct{}{}:
		defer func() { <-t.rolling }()
	case <-ctx.Done():
		next.close()
		return context.Cause(ctx)
	}
	rolled := false
	serves := func() {
		rolled = true
		t.mu.Lock()
		t.retired = append(t.retired, t.current)
		t.current = next
		t.mu.Unlock()
		switched()
	}
	if next.untried = next.untried && t.pool.Switch(next, reason); next.untried {
		serves()
	} else {
		next.mustAnswer(t.python())
		err = t.pool.RollNotify(ctx, next, reason, serves)
	}
	if !rolled {
		if t.pool.Status().State != pool.SiteFailed { // else there are no old workers to tell of
			t.failed.Store(failureOf(string(reason), err))
		}
		next.close()
		return err
	}
	t.failed.Store(nil)
	t.tasks.Apply(t.taskSpec(next.cfg), string(reason), true)
	if next.python != nil && t.pool.Status().State == pool.SiteSleeping { // as it was before the trial
		next.python.Unload()
	}
	if err == nil { // the last old worker has ended
		t.closeRetired()
	}
	return err
}

// closeRetired closes the generations that have no workers any more.
func (t *site) closeRetired() {
	t.mu.Lock()
	spent := t.retired
	t.retired = nil
	t.mu.Unlock()
	for _, g := range spent {
		g.close()
	}
}

// launchedFrom returns the current generation, and those before it that may still
// have workers.
func (t *site) launchedFrom() (current *generation, retired []*generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, slices.Clone(t.retired)
}

// lastExit is the end of the last worker, in words.
func (t *site) lastExit(s pool.Status) string { return cmp.Or(describeExit(s.LastExit), t.lastEnded) }

// close ends what the site holds. Its workers must have ended.
func (t *site) close() {
	t.mu.Lock()
	if t.rest != nil {
		t.rest.Stop()
	}
	t.mu.Unlock()
	for _, g := range append(t.retired, t.current) {
		g.close()
	}
	t.access.Close()
}
