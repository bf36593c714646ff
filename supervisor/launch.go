package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
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
	p := t.plan(g)
	g.guard = launches.Guard{Slots: t.super.slots, Room: func() error { return roomForOne(p.Now()) }, Timeout: p.Timeout}
	if c.Kind == config.WSGI {
		r, err := wsgi.New(p.WSGI())
		if err != nil {
			return nil, err
		}
		g.python, g.threads = r, c.Threads
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

// plan returns how the workers of a generation are launched.
func (t *site) plan(g *generation) runtimes.Plan {
	now := func() *config.Site { return t.configOf(g) }
	return runtimes.Plan{
		Site: g.cfg, Now: now, Timeout: startupTimeout(now),
		At: g.paths.At, Sockets: g.sockets, StateDir: t.super.dirs.state, CodeDir: statedir.CodeDir(t.super.dirs.state),
		Program: t.super.program, Names: hostsOf(g.cfg), Mark: t.super.mark,
		Prepare: func(p *process.Process) error { return t.limit(now(), p) },
		Output:  t.output, Log: t.log,
	}
}

// startupTimeout returns the only decision about startup_timeout: how long a launch may
// take now, and the error of one that takes longer.
func startupTimeout(now func() *config.Site) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		limit := now().StartupTimeout
		return limit, pool.StartupTimeoutError{Limit: limit}
	}
}

// goWorker is a Go worker, to be told from others.
type goWorker struct{ *goapp.Worker }

// SendFollower is Send: nothing is behind another request there.
func (w goWorker) SendFollower(h *wire.Head, watcher wire.Watcher) wire.Sent {
	return w.Send(h, watcher)
}
