package supervisor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/capacity"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/proxy"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/systemd"
	"github.com/multisite/multisite/worker/process"
)

// Options are what a Supervisor is made of.
type Options struct {
	Load    func() (*config.Config, error) // reads sites.toml, at the start and for every reload
	Version string
	Program string    // this binary, which runs the built-in Go apps as `multisite worker`
	Console io.Writer // gets every log line; nil: only the files do
	Watch   bool      // reload every site whose code changes

	Listeners []net.Listener // of the front door, taken over; none: as sites.toml says

	// Of an upgrade:
	Args      []string     // of this process
	Takeover  []string     // what makes a program print its Takeover
	From      string       // the program that SIGUSR2 means
	Inherited *Inheritance // from the supervisor before; nil: this is a start as any other
}

// Supervisor runs the sites of one sites.toml.
type Supervisor struct {
	load     func() (*config.Config, error)
	program  string
	version  string
	dirs     directories
	started  time.Time
	logs     *logs.Logs
	refusals *logs.Refusals
	log      *slog.Logger
	proxy    *proxy.Proxy
	door     *proxy.Server
	slots    launches.Slots // in which workers start

	processors capacity.Processors
	lock       *statedir.Lock
	mark       string // in the environment of every process of the sites; "": none
	journal    *journal.Journal

	life      *lifetime
	endpoints endpoints
	watching  *watching
	announcer *announcer
	sites     registry

	groupsOnce sync.Once
	groups     *process.Cgroups // see controlGroups

	upgrader  upgrader
	inherited *Inheritance                   // nil: this is no upgrade
	failed    atomic.Pointer[status.Failure] // the last reload, if nothing came of it

	reloading  sync.Mutex // one reload at a time
	publishing sync.Mutex // one table at a time
	running    sync.WaitGroup

	mu sync.Mutex
	// mu protects cfg
	cfg *config.Config
}

// New takes the state directory and the listening addresses, and starts nothing.
// After an error nothing of it is left.
func New(o Options) (*Supervisor, error) {
	cfg, err := o.Load()
	if err == nil && o.Inherited == nil { // or there would be nobody left
		err = CheckProcesses(cfg)
	}
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		load: o.Load, program: o.Program, cfg: cfg, version: o.Version, started: time.Now(),
		slots: launches.NewSlots(2 * runtime.GOMAXPROCS(0)),
		life:  newLifetime(), endpoints: endpoints{front: o.Listeners, external: len(o.Listeners) > 0},
		inherited: o.Inherited,
	}
	s.upgrader = upgrader{super: s, args: o.Args, takeover: o.Takeover, from: o.From}
	if s.inherited != nil {
		s.started, s.endpoints.external = s.inherited.Started, s.inherited.External
		s.failed.Store(s.inherited.Failed)
	}
	if err := s.open(o); err != nil {
		s.close(context.Background())
		return nil, err
	}
	return s, nil
}

func (s *Supervisor) open(o Options) (err error) {
	if s.dirs.state, err = findStateDir(s.cfg, s.inherited); err != nil {
		return err
	}
	if s.lock, err = takeLock(s.dirs.state, s.inherited); err != nil {
		return err
	}
	if s.dirs.logs, err = findLogDir(s.cfg, s.inherited); err != nil {
		return err
	}
	if s.logs, err = logs.Open(s.dirs.logs, o.Console); err != nil {
		return err
	}
	s.logs.SetRotation(s.cfg.LogMaxSize, s.cfg.LogKeep)
	s.log = s.logs.Logger("multisite")
	s.announcer = &announcer{Notifier: systemd.NewNotifier(s.log), sites: &s.sites}
	if s.journal, err = journal.Open(filepath.Join(s.dirs.state, statedir.JournalDB), journal.Options{Log: s.log}); err != nil {
		return err
	}
	if s.mark, err = s.lock.Mark(); err != nil {
		return err
	}
	if s.inherited == nil {
		s.endStrays()
		if err := os.RemoveAll(filepath.Join(s.dirs.state, statedir.RunDir)); err != nil { // sockets of one that was killed
			return err
		}
	}
	spool := filepath.Join(s.dirs.state, statedir.SpoolDir)
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	s.refusals = s.logs.Refusals()
	if s.inherited != nil {
		s.refusals.Restore(s.inherited.Refused)
	}
	s.proxy = proxy.New(proxy.Options{
		TrustedProxies: s.cfg.TrustedProxies, Timeouts: proxy.Timeouts(s.cfg.Timeouts), SpoolDir: spool, Log: s.log,
		Refused: func(r front.Refusal) { s.refusals.Count(r.Status, r.AppendCombined) },
	})
	if err := s.makeSites(); err != nil {
		return err
	}
	if err := s.endpoints.listen(s.cfg, s.inherited); err != nil {
		return err
	}
	if err := s.recallScales(); err != nil {
		return err
	}
	if s.watching, err = s.newWatching(o.Watch); err != nil {
		return err
	}
	return s.endpoints.listenForCalls(s.dirs.state, s.cfg, s.inherited, s, s.log)
}

// spareThreads is more than the runtime was seen to need at once.
const spareThreads = 32

// recallScales applies what `multisite scale` said before the last stop.
func (s *Supervisor) recallScales() error {
	scales, err := s.journal.Scales(context.Background())
	if err != nil {
		return err
	}
	machine := capacity.NewMachine()
	for _, t := range s.sites.all() {
		n, ok := scales[t.name]
		if why := machine.Refuse(limitsOf(t.cfg), n, needsOf(t.cfg)); why != "" {
			t.log.Warn("a number of workers set by hand is forgotten", "reason", why)
			continue
		}
		if ok {
			set := settingsOf(t.cfg)
			set.Min, set.Max = n, n
			t.pool.Apply(set)
			t.log.Warn("scaled by hand", "processes", n, "sites.toml", t.cfg.Processes.Max)
		}
	}
	return nil
}

// Addrs returns the addresses that the front door listens on.
func (s *Supervisor) Addrs() []string { return s.endpoints.addrs() }

// publish tells the front door which sites there are. What is told last must be
// what was looked up last.
func (s *Supervisor) publish() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	var routes, old []front.Route
	for _, site := range s.sites.all() {
		if site.failed.Load() != nil { // sites.toml may have given its name to another one
			old = append(old, site.route())
		} else {
			routes = append(routes, site.route())
		}
	}
	s.proxy.SetTable(front.NewTable(append(routes, old...)))
}

// config returns what sites.toml says now.
func (s *Supervisor) config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

func (s *Supervisor) setConfig(c *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = c
}
