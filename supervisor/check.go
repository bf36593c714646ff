package supervisor

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/runtimes"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// ManagePython replaces this process by Django's manage.py for a Python site. It needs
// no running supervisor. It returns only with an error.
func ManagePython(stateDir string, c *config.Site, args []string) error {
	p := planOutside(stateDir, c, filepath.Join(stateDir, statedir.RunDir), code.Paths{})
	return wsgi.Manage(p.WSGI(), args)
}

// planOutside returns how workers of a site are launched outside of a supervisor.
func planOutside(stateDir string, c *config.Site, sockets string, at code.Paths) runtimes.Plan {
	now := func() *config.Site { return c }
	return runtimes.Plan{
		Site: c, Now: now, Timeout: startupTimeout(now), At: at.At,
		Sockets: sockets, StateDir: stateDir, CodeDir: statedir.CodeDir(stateDir), Log: slog.New(slog.DiscardHandler),
		Prepare: func(p *process.Process) error { // without memory_limit_hard: the control groups belong to the supervisor
			return p.Limit(process.Limits{Tasks: c.TasksLimit, Priority: c.CPUPriority})
		},
		Output: func(string, string) {},
	}
}

// Check loads the code of every Python site once, as a worker of it would, and returns
// an error for each site whose code does not load. Sites that load the same code under
// the same conditions are tried once for all of them. It uses a directory of its own,
// and touches nothing that runs.
func Check(ctx context.Context, cfg *config.Config) []error {
	dir, err := os.MkdirTemp("", "multisite-check-")
	if err != nil {
		return []error{err}
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // sites of other users read their worker's code there
		return []error{err}
	}
	slots := launches.NewSlots(runtime.GOMAXPROCS(0))
	errs := make([]error, len(cfg.Sites))
	var wg sync.WaitGroup
	for _, alike := range codeGroups(cfg.Sites) {
		wg.Go(func() {
			err := tryLoad(ctx, dir, slots, cfg.Sites[alike[0]])
			for _, i := range alike {
				errs[i] = explain(cfg.Sites[i], err)
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// codeGroups groups the Python sites, by their index, so that loading one of a group
// tells of all.
func codeGroups(sites []*config.Site) (groups [][]int) {
	var views []*config.Site
	for i, c := range sites {
		if c.Kind != config.WSGI {
			continue
		}
		view := c.CodeView()
		g := slices.IndexFunc(views, view.Same)
		if g < 0 {
			g = len(views)
			views, groups = append(views, view), append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	return groups
}

// tryLoad launches one worker of a site and ends it when it is ready.
func tryLoad(ctx context.Context, dir string, slots launches.Slots, site *config.Site) error {
	c := *site
	c.Preload.Mode = string(wsgi.PreloadOff) // one interpreter is enough
	p := planOutside(dir, &c, filepath.Join(dir, statedir.RunDir, c.Name), pathsOf(&c))
	r, err := wsgi.New(p.WSGI())
	if err != nil {
		return err
	}
	defer r.Close()
	guard := launches.Guard{Slots: slots, Timeout: p.Timeout, Room: func() error { return roomForOne(&c) }}
	return guard.Do(ctx, func(ctx context.Context) error {
		w, err := r.Launch(ctx, c.Name+"/1")
		if err != nil {
			return err
		}
		w.Stop(c.ShutdownTimeout)
		w.Close()
		return nil
	})
}
