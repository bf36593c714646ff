package supervisor

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/rules"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/worker/wsgi"
)

// site joins what belongs to one site: its settings, its workers, its tasks, its logs
// and its counters. A reload that changes the site keeps it; only its generations and
// settings are replaced.
type site struct {
	// These are set when the site is made, and safe for use by several goroutines.
	name    string
	super   *Supervisor
	pool    *pool.Pool
	stats   *front.Stats
	clients *front.Clients
	tunnels *front.Tunnels
	limiter *rules.Limiter
	log     siteLog
	access  *logs.AccessLog
	tasks   tasks
	drained chan struct{} // closed when the last worker has exited
	done    chan struct{} // closed when the last task has exited, too, and a removed site is closed

	rolling chan struct{} // holds a value while the workers are replaced

	warmup learnedWarmup // has a mutex of its own

	// Only the goroutine of watchLimits uses meter, but any goroutine may call Problem.
	meter limits.Meter
	// idle is used by the goroutine of sampleMemory only.
	idle limits.Idle

	// These are set only when the site is inherited.
	lastEnded string // how the last worker exited before the upgrade, for status
	stale     string // why inherited workers have to be replaced; "": they have not

	lastEvent   atomic.Pointer[status.Event]      // nil: none since the start
	maintenance atomic.Pointer[rules.Maintenance] // nil: the site is open
	pause       pause                             // has a mutex of its own

	failed atomic.Pointer[status.Failure] // of the last reload or restart; nil: all is as sites.toml said then

	mu sync.Mutex
	// mu protects all below.
	cfg         *config.Site     // as sites.toml says it now
	generations int              // how many there were
	current     *generation      // from which workers are launched
	retired     []*generation    // those before, whose last workers may still run
	exits       map[string]int64 // workers that have ended, by reason
	unload      *time.Timer      // ends the zygote of a site that goes on sleeping; nil: it has never slept
	static      []wsgi.Static    // where the site's Django has its static files
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
	t.happened(time.Now(), "start")
	return t, nil
}

// happened remembers the last event of the site, for status.
func (t *site) happened(at time.Time, what string) {
	t.lastEvent.Store(&status.Event{At: at.UTC(), What: what})
}

// bareSite returns a site without a generation, tasks and a pool.
func (s *Supervisor) bareSite(cfg *config.Site) *site {
	t := &site{
		name: cfg.Name, super: s, stats: front.NewStats(), clients: &front.Clients{}, tunnels: &front.Tunnels{}, limiter: &rules.Limiter{},
		log: newSiteLog(s.logs, cfg.Name), access: s.logs.Access(cfg.Name),
		drained: make(chan struct{}), done: make(chan struct{}), cfg: cfg, rolling: make(chan struct{}, 1),
	}
	t.recallWarmup()
	t.recallMaintenance()
	return t
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

// settingsOf returns what sites.toml says to a pool.
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

// run runs the site until its pool is stopped and everything has exited.
func (t *site) run(force context.Context) {
	t.pool.Run(force)
	t.endTunnels()
	t.closeGenerations() // now: a site of this name that comes back has directories of the same names
	close(t.drained)
	t.tasks.Stop() // only now: a request in flight may need them
}

// lastBytes is how long the clients of tunnels may take what workers have left to them.
const lastBytes = 2 * time.Second

// endTunnels returns when no client has a tunnel any more. The workers have exited.
func (t *site) endTunnels() {
	ctx, cancel := context.WithTimeout(context.Background(), lastBytes)
	defer cancel()
	t.tunnels.End(ctx)
}

// config returns what sites.toml says of the site now.
func (t *site) config() *config.Site {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cfg
}

func (t *site) setConfig(c *config.Site) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg = c
}

// configOf returns what sites.toml says of the workers of a generation: before it
// serves, what it was made for.
func (t *site) configOf(g *generation) *config.Site {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g == t.current {
		return t.cfg
	}
	return g.cfg
}

// roll replaces all workers by those of a new generation, and calls switched when the
// new ones serve. If the trial of the generation fails, the old workers stay.
func (t *site) roll(ctx context.Context, next *generation, reason pool.Reason, switched func()) (err error) {
	select {
	case t.rolling <- struct{}{}:
		defer func() { <-t.rolling }()
	case <-ctx.Done():
		next.close()
		return context.Cause(ctx)
	}
	serves := false
	serve := func() {
		serves = true
		switched() // before next is current: its workers are launched with its own settings until then, see configOf
		t.mu.Lock()
		t.retired = append(t.retired, t.current)
		t.current = next
		t.mu.Unlock()
	}
	if next.noTrial = next.noTrial && t.pool.Switch(next, reason); next.noTrial {
		serve()
	} else {
		next.mustAnswer(t.python())
		err = t.pool.Roll(ctx, next, reason, serve)
	}
	if !serves {
		if t.pool.Status().State != pool.SiteFailed && reason != pool.ReasonWarmup { // a failed site has its own error
			t.failed.Store(failureOf(string(reason), err))
			t.happened(time.Now(), string(reason)+" failed")
		}
		next.close()
		return err
	}
	t.failed.Store(nil)
	t.happened(time.Now(), string(reason))
	t.tasks.apply(ctx, next.cfg, reason, reason != pool.ReasonWarmup)     // of the same code they go on
	if next.python != nil && t.pool.Status().State == pool.SiteSleeping { // as it was before the trial
		next.python.Unload()
	}
	if err == nil { // the last old worker has exited
		t.closeRetired()
	}
	return err
}

// closeRetired closes the generations before the current one, which have no workers any
// more.
func (t *site) closeRetired() {
	t.mu.Lock()
	retired := t.retired
	t.retired = nil
	t.mu.Unlock()
	for _, g := range retired {
		g.close()
	}
}

// launchedFrom returns the current generation, and those before it that may still have
// workers.
func (t *site) launchedFrom() (current *generation, retired []*generation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current, slices.Clone(t.retired)
}

// python returns the runtime of the current generation; nil for a Go site.
func (t *site) python() *wsgi.Runtime {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current.python
}

// unloadAfter is how many times inactivity_timeout a sleeping site keeps its zygote:
// with it a request wakes the site in milliseconds.
const unloadAfter = 5

// unloadLater ends the zygote later if the site sleeps, and still does so then. It is
// called when a worker has exited.
func (t *site) unloadLater() {
	idle := t.config().InactivityTimeout
	if idle == 0 || t.pool.Status().State != pool.SiteSleeping {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.unload != nil {
		t.unload.Stop()
	}
	t.unload = time.AfterFunc(unloadAfter*idle, func() {
		if r := t.python(); r != nil && t.pool.Status().State == pool.SiteSleeping {
			t.log.Info("zygote ended", "reason", "inactivity")
			r.Unload()
		}
	})
}

// lastExit returns how the last worker exited, in words.
func (t *site) lastExit(s pool.Status) string { return cmp.Or(describeExit(s.LastExit), t.lastEnded) }

// close frees what the site holds. Its workers must have exited.
func (t *site) close() {
	t.mu.Lock()
	if t.unload != nil {
		t.unload.Stop()
	}
	t.mu.Unlock()
	t.keepWarmup(context.Background())
	t.closeGenerations()
	t.access.Close()
}

// closeGenerations frees what the generations hold. Their workers must have exited.
func (t *site) closeGenerations() {
	current, retired := t.launchedFrom()
	for _, g := range append(retired, current) {
		if g != nil { // a site that was removed before an upgrade has none
			g.close()
		}
	}
}
