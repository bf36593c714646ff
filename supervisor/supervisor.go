package supervisor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/capacity"
	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/ksm"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/supervisor/rules"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/supervisor/systemd"
	"github.com/multisite/multisite/supervisor/watch"
)

// Options are what a Supervisor is made of.
type Options struct {
	Load    func() (*config.Config, error) // reads sites.toml, at the start and for every reload
	Version string
	Program string    // this program, which runs the built-in Go apps as `multisite worker`
	Console io.Writer // gets every log line; nil: only the files do
	Watch   bool      // reload every site whose code changes

	Listeners []net.Listener // of the front door; none: sites.toml names them

	// These are for an upgrade.
	Args      []string     // of this process
	Takeover  []string     // with which a program prints its Takeover
	From      string       // the program that SIGUSR2 means
	Inherited *Inheritance // from the supervisor before; nil: this is no upgrade
}

// Supervisor runs the sites of one sites.toml. New makes it, Run serves, and the other
// exported methods may be called by any goroutine meanwhile.
type Supervisor struct {
	// These are set by New, and do not change.
	program   string
	version   string
	started   time.Time
	dirs      directories
	mark      string // in the environment of every process of the sites
	lock      *statedir.Lock
	inherited *Inheritance // nil: this is no upgrade

	// These are set by New, and safe for use by several goroutines.
	log        *slog.Logger
	logs       *logs.Logs
	refusals   *logs.Refusals
	journal    *journal.Journal
	proxy      *proxy.Proxy
	certs      *certs.Certs
	certFiles  *certFiles
	endpoints  endpoints
	life       *lifetime
	sites      registry
	slots      launches.Slots // in which workers start
	processors capacity.Processors
	cgroups    cgroups
	merging    merging
	measures   measures
	passwords  *rules.Passwords
	announcer  *announcer
	watching   *watching
	reloader   reloader
	upgrader   upgrader
	selfRolls  selfRolls

	door    *proxy.Server  // set by Run before it serves
	running sync.WaitGroup // the sites, and processes from before the upgrade that are being stopped

	publishing sync.Mutex // held while the table of the front door is made and set

	mu sync.Mutex
	// mu protects cfg.
	cfg *config.Config // as sites.toml was read last without a mistake
}

// New takes the state directory and the listening addresses, and starts nothing. After
// an error it holds nothing.
func New(o Options) (*Supervisor, error) {
	cfg, err := o.Load()
	if err == nil && o.Inherited == nil { // after an upgrade an error would leave no supervisor
		err = CheckProcesses(cfg)
	}
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		program: o.Program, cfg: cfg, version: o.Version, started: time.Now(),
		passwords: rules.NewPasswords(),
		slots:     launches.NewSlots(2 * runtime.GOMAXPROCS(0)),
		life:      newLifetime(), endpoints: endpoints{front: o.Listeners, external: len(o.Listeners) > 0},
		inherited: o.Inherited, selfRolls: usualSelfRolls,
	}
	s.reloader = reloader{super: s, load: o.Load, ended: make(chan struct{}, 1)}
	s.upgrader = upgrader{super: s, args: o.Args, takeover: o.Takeover, from: o.From}
	if s.inherited != nil {
		s.started, s.endpoints.external = s.inherited.Started, s.inherited.External
		s.reloader.failed.Store(s.inherited.Failed)
	}
	if err := s.open(o); err != nil {
		s.close(context.Background())
		return nil, err
	}
	return s, nil
}

// open makes and opens everything in order, until something fails.
func (s *Supervisor) open(o Options) (err error) {
	if err := s.openState(o.Console); err != nil {
		return err
	}
	spool := filepath.Join(s.dirs.state, statedir.SpoolDir)
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	s.certs = certs.New(certs.Options{Dir: filepath.Join(s.dirs.state, statedir.CertsDir), Log: s.log, Event: s.noteCertificate})
	s.proxy = proxy.New(proxy.Options{
		TrustedProxies: s.cfg.TrustedProxies, Timeouts: proxy.Timeouts(s.cfg.Timeouts), Limits: connectionLimits(s.cfg), SpoolDir: spool, Log: s.log,
		TLS: s.certs.Config(), Covers: s.certs.Covers, HasCertificate: s.certs.Has, Challenge: s.certs.AnswerChallenge,
		Local:   s.localLinks,
		Refused: func(r front.Refusal) { s.refusals.Count(r.Status, r.AppendCombined) },
	})
	if err := s.makeSites(); err != nil {
		return err
	}
	s.endpoints.metrics.log = s.log
	if err := s.endpoints.listen(s.cfg, s.inherited); err != nil {
		return err
	}
	s.forgetRemoved()
	if err := s.recallScales(); err != nil {
		return err
	}
	if s.watching, err = s.newWatching(o.Watch); err != nil {
		return err
	}
	certWatcher, err := watch.New(watch.Options{Log: s.log})
	if err != nil {
		return err
	}
	s.certFiles = &certFiles{s.certs, certWatcher}
	return s.endpoints.listenForCalls(s.dirs.state, s.cfg, s.inherited, s, s.log)
}

// openState takes the state directory and opens the logs and the journal. It removes
// what a killed supervisor has left.
func (s *Supervisor) openState(console io.Writer) (err error) {
	if s.dirs.state, err = findStateDir(s.cfg, s.inherited); err != nil {
		return err
	}
	if s.lock, err = takeLock(s.dirs.state, s.inherited); err != nil {
		return err
	}
	if s.dirs.logs, err = findLogDir(s.cfg, s.inherited); err != nil {
		return err
	}
	if s.logs, err = logs.Open(s.dirs.logs, console); err != nil {
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
	s.merging.log = s.log
	s.merging.kernel = ksm.Switch{Kernel: ksm.Linux, Marker: filepath.Join(s.dirs.state, statedir.KSMMarker)}
	if s.inherited == nil {
		s.endStrays()
		if err := os.RemoveAll(filepath.Join(s.dirs.state, statedir.RunDir)); err != nil { // a killed supervisor may have left sockets
			return err
		}
	}
	s.refusals = s.logs.Refusals()
	if s.inherited != nil {
		s.refusals.Restore(s.inherited.Refused)
	}
	return nil
}

// recallScales applies what `multisite scale` has set before the last stop.
func (s *Supervisor) recallScales() error {
	scales, err := s.journal.Scales(context.Background())
	if err != nil {
		return err
	}
	machine := capacity.NewMachine()
	for _, t := range s.sites.all() {
		n, ok := scales[t.name]
		if why := machine.Refuse(limitsOf(t.cfg), n, needsOf(t.cfg)); why != "" {
			t.log.Warn("the number of workers set by hand is not restored", "reason", why)
			continue
		}
		if ok {
			set := settingsOf(t.cfg)
			set.Min, set.Max = n, n
			t.pool.Apply(set)
			t.log.Warn("number of workers restored that was set by hand", "processes", n, "sites.toml", t.cfg.Processes.Max)
		}
	}
	return nil
}

// Addrs returns the addresses that the front door listens on.
func (s *Supervisor) Addrs() []string { return s.endpoints.addrs() }

// makeSites makes the sites of sites.toml, some with what they had before an upgrade. At
// a start a site that cannot be made is an error; after an upgrade it is left out.
func (s *Supervisor) makeSites() error {
	var fresh []*generation
	look := s.lookAtCode()
	for _, cfg := range s.cfg.Sites {
		t, inherited, err := s.makeSite(cfg, look)
		switch {
		case err != nil && s.inherited != nil:
			s.log.Error("site left out; multisite reload tries again", "site", cfg.Name, "error", err)
			continue
		case err != nil:
			return fmt.Errorf("site %s: %w", cfg.Name, err)
		case !inherited:
			fresh = append(fresh, t.current)
		}
		s.sites.sites = append(s.sites.sites, t) // no other goroutine has it yet
	}
	joinProjects(fresh, s.log)
	if s.inherited != nil {
		s.inherited.endGoneSites(s)
	}
	return nil
}

func (s *Supervisor) makeSite(c *config.Site, look *code.Look) (t *site, inherited bool, err error) {
	if s.inherited != nil {
		if h, found := s.inherited.sites[c.Name]; found {
			t, err = s.inherited.site(s, c, h)
			inherited = true
		}
	}
	if !inherited {
		t, err = s.newSite(c, look)
	}
	if err == nil && s.inherited != nil {
		s.inherited.leavingTasks(t)
	}
	return t, inherited, err
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
