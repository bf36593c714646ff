package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/runtimes"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/goapp"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wire"
	"github.com/multisite/multisite/worker/wsgi"
)

// worker is a worker process of either runtime.
type worker interface {
	pool.Worker
	http.RoundTripper
	Send(h *wire.Head, w wire.Watcher) wire.Sent
	SendFollower(h *wire.Head, w wire.Watcher) wire.Sent
	Socket() string
	Exit() process.Exit
	OS() *process.Process
	Close() // frees what it held here, after it has exited
}

// goWorker is a Go worker. Its type tells it from a Python worker.
type goWorker struct{ *goapp.Worker }

// SendFollower is Send: a Go worker runs its requests at the same time.
func (w goWorker) SendFollower(h *wire.Head, watcher wire.Watcher) wire.Sent {
	return w.Send(h, watcher)
}

// generation launches the workers of one generation of a site. Its code, settings and
// directory never change; what may change while it lives is asked for at each launch.
type generation struct {
	cfg     *config.Site // what it was made for
	code    code.Tree    // as it was before the first worker was launched
	paths   code.Paths   // where the code really is
	sockets string       // its directory, so that two generations can run side by side

	warmup  []string // paths that its zygote requests
	learned bool     // visitors have decided which they are

	fresh atomic.Int64 // USS of a worker right after its launch, in bytes; 0: none was measured

	guard   launches.Guard // of its launches
	launch  func(ctx context.Context, id string) (worker, error)
	threads int            // see Threads
	python  *wsgi.Runtime  // nil: it is that of a Go site
	program *goapp.Runtime // nil: it is that of a Python site

	closing sync.Once // of close

	mu sync.Mutex
	// mu protects closed: then the directory is gone, and its name may be that of another
	// site's.
	closed bool

	// noTrial is set if the site sleeps, and is not woken for a trial of the generation.
	noTrial bool

	// inherited are the settings that the workers were launched with, if the supervisor
	// before an upgrade has launched them with others than those of cfg; otherwise nil.
	inherited map[string]json.RawMessage
}

// newGeneration returns the next generation of the site, for the settings c and the code
// of the look. It starts nothing.
func (t *site) newGeneration(c *config.Site, look *code.Look) (*generation, error) {
	t.mu.Lock()
	t.generations++
	sockets := filepath.Join(t.super.dirs.state, statedir.RunDir, fmt.Sprintf("%s.%d", t.name, t.generations))
	t.mu.Unlock()
	g, err := t.makeGeneration(c, look.Tree(placesOf(c)), sockets, pathsOf(c))
	if err != nil {
		_ = os.RemoveAll(sockets) // the next start removes what stays
	}
	return g, err
}

func (t *site) makeGeneration(c *config.Site, tree code.Tree, sockets string, paths code.Paths) (*generation, error) {
	g := &generation{cfg: c, code: tree, sockets: sockets, paths: paths}
	g.warmup, g.learned = t.warmupOf(c)
	if err := t.keepDirs(g); err != nil {
		return nil, err
	}
	p := t.plan(g)
	g.guard = launches.Guard{Slots: t.super.slots, Room: func() error { return t.prepareLaunch(g, p.Now()) }, Timeout: p.Timeout}
	if c.Kind == config.WSGI {
		r, err := wsgi.New(p.WSGI())
		if err != nil {
			return nil, err
		}
		g.python, g.threads = r, c.Threads
		g.guard.Before = r.AwaitShared
		g.launch = func(ctx context.Context, id string) (worker, error) { return asWorker(r.Launch(ctx, id)) }
		return g, nil
	}
	g.program = goapp.New(p.Go())
	g.launch = func(ctx context.Context, id string) (worker, error) {
		w, err := g.program.Launch(ctx, id)
		return asWorker(goWorker{w}, err)
	}
	return g, nil
}

// asWorker returns a nil interface with an error: a nil worker in it would not be nil.
func asWorker(w worker, err error) (worker, error) {
	if err != nil {
		return nil, err
	}
	return w, nil
}

// plan returns how the workers of a generation are launched.
func (t *site) plan(g *generation) runtimes.Plan {
	now := func() *config.Site { return t.configOf(g) }
	return runtimes.Plan{
		Site: g.cfg, Warmup: g.warmup, Learned: g.learned, Now: now, Timeout: startupTimeout(now),
		At: g.paths.At, Sockets: g.sockets, StateDir: t.super.dirs.state, CodeDir: statedir.CodeDir(t.super.dirs.state),
		Program: t.super.program, Names: hostsOf(g.cfg), Mark: t.super.mark,
		Merge:   t.super.merging.allowed(g.cfg),
		Prepare: func(p *process.Process) error { return t.limit(now(), p) },
		Output:  t.log.output, Log: t.log.Logger,
	}
}

// startupTimeout decides about startup_timeout, for all runtimes: it returns how long a
// launch may take now, and the error of one that takes longer.
func startupTimeout(now func() *config.Site) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		limit := now().StartupTimeout
		return limit, pool.StartupTimeoutError{Limit: limit}
	}
}

// Launch starts a worker when it is its turn, and returns it when it answers.
func (g *generation) Launch(ctx context.Context, id string) (pool.Worker, error) {
	var w worker
	err := g.guard.Do(ctx, func(ctx context.Context) (err error) {
		w, err = g.launch(ctx, id)
		return err
	})
	if err != nil {
		return nil, err // a nil worker in the interface would not be nil
	}
	return w, nil
}

// Threads returns how many requests a worker takes at once; 0: as many as the site's
// settings say, which may change. A Go program need not know the number.
func (g *generation) Threads() int { return g.threads }

// prepareLaunch makes the directories of a launch again if they were removed, and reports
// what the machine has no room for.
func (t *site) prepareLaunch(g *generation, c *config.Site) error {
	if err := t.keepDirs(g); err != nil {
		return err
	}
	return roomForOne(c)
}

// keepDirs makes the directories that the generation's workers need, if they are missing.
func (t *site) keepDirs(g *generation) error {
	if err := t.super.dirs.keep(); err != nil {
		return err
	}
	return g.keepSockets()
}

// keepSockets makes the directory of the generation if it is missing, unless it is closed.
func (g *generation) keepSockets() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	return os.MkdirAll(g.sockets, 0o700)
}

// mustAnswer makes a warm-up request that the old runtime answers, and the generation
// does not, fail the trial.
func (g *generation) mustAnswer(old *wsgi.Runtime) {
	if g.python != nil {
		g.python.MustAnswer(old)
	}
}

// close frees what the generation holds beside its workers.
func (g *generation) close() {
	g.closing.Do(func() {
		if g.python != nil {
			g.python.Close()
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.closed = true
		_ = os.RemoveAll(g.sockets) // the next start removes what stays
	})
}

// joinProjects lets generations that start at the same time share what they load. A site
// that may sleep starts by itself, when a request comes.
func joinProjects(generations []*generation, log *slog.Logger) {
	groups := map[string][]*wsgi.Runtime{}
	for _, g := range generations {
		if g.python != nil && g.python.Preloads() && g.cfg.Processes.Min > 0 {
			key := g.python.ProjectKey()
			groups[key] = append(groups[key], g.python)
		}
	}
	for _, group := range groups {
		wsgi.NewProject(group, log)
	}
}

// placesOf returns where a site has its code.
func placesOf(c *config.Site) []code.Place {
	var places []code.Place
	for _, path := range []string{c.WSGI, c.App, c.Settings} {
		if filepath.IsAbs(path) {
			places = append(places, code.Place{Kind: code.File, Path: path})
		}
	}
	if c.Kind != config.WSGI {
		return places
	}
	places = append(places, code.Place{Kind: code.Interpreter, Path: c.Python})
	for _, dir := range c.PythonPath {
		places = append(places, code.Place{Kind: code.Directory, Path: dir})
	}
	if c.Home != "" {
		places = append(places, code.Place{Kind: code.Directory, Path: c.Home})
	}
	return places
}

// pathsOf returns where the directories of a site's code really are now.
func pathsOf(c *config.Site) code.Paths {
	dirs := append([]string{c.Home}, c.PythonPath...)
	for _, file := range []string{c.WSGI, c.App, c.Settings, c.Python} {
		dirs = append(dirs, filepath.Dir(file)) // links to files are not followed: Python finds a venv by the name of its interpreter
	}
	return code.ResolvePaths(dirs)
}

// lookAtCode returns a look that shares what has not changed with the running sites.
func (s *Supervisor) lookAtCode() *code.Look {
	var trees []code.Tree
	for _, t := range s.sites.all() {
		trees = append(trees, t.code())
	}
	return code.NewLook(trees...)
}

// code returns the code that the site's workers run.
func (t *site) code() code.Tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return nil
	}
	return t.current.code
}
