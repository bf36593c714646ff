package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/capacity"
	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/pool"
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
	Close() // frees what it held here, after it has ended
}

// generation is what the workers of one generation of a site come from. Each has
// a directory of its own for its sockets, so that two can run side by side.
type generation struct {
	guard   launches.Guard
	launch  func(ctx context.Context, id string) (worker, error)
	threads int // see Threads
	cfg     *config.Site
	code    code.Tree // as it was before the first worker was launched
	untried bool      // its site sleeps, and shall not be woken to try it
	sockets string
	paths   code.Paths
	python  *wsgi.Runtime  // nil for a Go site
	program *goapp.Runtime // of a Go site

	// inherited are the settings that the workers run with, where those are not cfg's
	// because the supervisor before an upgrade has launched them.
	inherited map[string]json.RawMessage
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

// newGeneration returns the next generation of the site, with the code of the look
// and the settings of now. It starts nothing.
func (t *site) newGeneration(c *config.Site, look *code.Look) (*generation, error) {
	t.mu.Lock()
	t.generations++
	sockets := filepath.Join(t.super.dirs.state, statedir.RunDir, fmt.Sprintf("%s.%d", t.name, t.generations))
	t.mu.Unlock()
	g, err := t.makeGeneration(c, look.Tree(placesOf(c)), sockets, pathsOf(c))
	if err != nil {
		_ = os.RemoveAll(sockets) // what stays is wiped by the next start
	}
	return g, err
}

func (t *site) makeGeneration(c *config.Site, code code.Tree, sockets string, at code.Paths) (*generation, error) {
	g := &generation{cfg: c, code: code, sockets: sockets, paths: at}
	if err := t.super.dirs.keep(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(g.sockets, 0o700); err != nil {
		return nil, err
	}
	now := func() *config.Site { return t.configOf(g) }
	timeout := func() (time.Duration, error) {
		limit := now().StartupTimeout
		return limit, pool.StartupTimeoutError{Limit: limit}
	}
	g.guard = launches.Guard{Slots: t.super.slots, Room: func() error { return capacity.RoomForOne(needsOf(now())) }, Timeout: timeout}
	if c.Kind == config.WSGI {
		r, err := wsgi.New(t.wsgiOptions(c, g, now, timeout))
		if err != nil {
			return nil, err
		}
		g.python, g.threads = r, c.Threads
		g.launch = func(ctx context.Context, id string) (worker, error) { return asWorker(r.Launch(ctx, id)) }
		return g, nil
	}
	g.program = goapp.New(t.goOptions(c, g, now))
	g.launch = func(ctx context.Context, id string) (worker, error) {
		w, err := g.program.Launch(ctx, id)
		return asWorker(goWorker{w}, err)
	}
	return g, nil
}

// mustAnswer: it is not to start where a warm-up request fails that old answers.
func (g *generation) mustAnswer(old *wsgi.Runtime) {
	if g.python != nil {
		g.python.MustAnswer(old)
	}
}

// close ends what the generation holds beside its workers.
func (g *generation) close() {
	if g.python != nil {
		g.python.Close()
	}
	_ = os.RemoveAll(g.sockets) // what stays is wiped by the next start
}

// joinProjects lets generations that start together share what they load. A site
// that sleeps starts alone, when somebody asks for it.
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

func asWorker(w worker, err error) (worker, error) {
	if err != nil {
		return nil, err
	}
	return w, nil
}

// wsgiOptions are those of the workers that c describes; now has what may change
// while they run.
func (t *site) wsgiOptions(c *config.Site, g *generation, now func() *config.Site, timeout func() (time.Duration, error)) wsgi.Options {
	return wsgi.Options{
		Site:       c.Name,
		Python:     c.Python,
		Settings:   c.Settings,
		Entry:      c.WSGI,
		PythonPath: c.PythonPath,
		Home:       c.Home,
		Mount:      c.Mount,
		Env:        t.marked(environment(c)),
		Threads:    c.Threads,
		Processes:  c.Processes.Max,
		StackSize:  c.StackSize,

		Account: c.Account,
		Umask:   c.Umask,
		Tasks:   func() int { return now().TasksLimit },
		Locale:  c.Locale,

		Preload:        wsgi.Preload(c.Preload.Mode),
		Warmup:         c.Preload.Warmup,
		WarmupStrict:   c.Preload.WarmupStrict,
		Host:           hostForWarmup(c),
		Tricks:         tricks(c),
		StartupTimeout: timeout,

		Prepare:   func(p *process.Process) error { return t.limit(now(), p) },
		At:        g.paths.At,
		SocketDir: g.sockets,
		CodeDir:   statedir.CodeDir(t.super.dirs.state),
		Output:    t.output,
		Log:       t.log,
	}
}

func (t *site) goOptions(c *config.Site, g *generation, now func() *config.Site) goapp.Options {
	o := goapp.Options{
		Site:      c.Name,
		Path:      c.App,
		Env:       t.marked(environment(c)),
		Dir:       c.Home,
		At:        g.paths.At,
		SocketDir: g.sockets,
		Account:   c.Account,
		Umask:     c.Umask,
		Tasks:     func() int { return now().TasksLimit },
		Prepare:   func(p *process.Process) error { return t.limit(now(), p) },
		Log:       t.log,
		Output:    t.output,
	}
	if c.Kind == config.Apps {
		o.Path = t.super.program
		o.Args = func() []string { return workerArgs(c, g.paths.At(c.Settings), t.super.dirs.state) }
	}
	return o
}

// workerArgs are the arguments of this program as a worker of the site.
func workerArgs(c *config.Site, settings, stateDir string) []string {
	args := []string{"worker", "--settings", settings, "--state-dir", stateDir}
	for _, name := range hostsOf(c) {
		args = append(args, "--host", strings.TrimPrefix(name, "*"))
	}
	return args
}

// tricks are the names by which the zygote knows the switches. A site that may
// sleep has no immortal objects by itself: the search for them takes half a second,
// which whoever wakes it would wait for.
func tricks(c *config.Site) []string {
	p := c.Preload
	var names []string
	for _, t := range []struct {
		on   bool
		name string
	}{
		{p.GCFreeze, "gc"}, {p.GCFreeze, "freeze"}, {p.SealHeap, "seal"}, {p.RelocateCode, "relocate"},
		{p.Immortal == "on", "immortal"}, {p.Immortal == "auto" && c.Processes.Min > 0, "immortal-auto"},
	} {
		if t.on {
			names = append(names, t.name)
		}
	}
	return names
}

// hostForWarmup is a host name that the site's own code accepts.
func hostForWarmup(c *config.Site) string {
	for _, name := range append([]string{c.ServerName}, c.Aliases...) {
		if name != "" && !strings.HasPrefix(name, "*") {
			return name
		}
	}
	return "localhost"
}

// goWorker is a Go worker, to be told from others.
type goWorker struct{ *goapp.Worker }

// SendFollower is Send: nothing is behind another request there.
func (w goWorker) SendFollower(h *wire.Head, watcher wire.Watcher) wire.Sent {
	return w.Send(h, watcher)
}
