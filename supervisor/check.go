package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/worker/wsgi"
)

// Check loads the code of every Python site once, as a worker of it would, and
// returns why it does not load where it does not. Sites that load the same in the
// same circumstances are tried once for all of them. It uses a directory of its
// own: nothing that runs is touched.
func Check(ctx context.Context, cfg *config.Config) []error {
	dir, err := os.MkdirTemp("", "multisite-check-")
	if err != nil {
		return []error{err}
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // sites of other users read their worker there
		return []error{err}
	}
	s := &Supervisor{dirs: directories{dir, filepath.Join(dir, "logs")}, slots: launches.NewSlots(runtime.GOMAXPROCS(0))}
	if s.logs, err = logs.Open(s.dirs.logs, nil); err != nil {
		return []error{err}
	}
	defer s.logs.Close()
	errs := make([]error, len(cfg.Sites))
	var wg sync.WaitGroup
	for _, alike := range trials(cfg.Sites) {
		wg.Go(func() {
			err := s.tryLoad(ctx, cfg.Sites[alike[0]])
			for _, i := range alike {
				errs[i] = (&site{name: cfg.Sites[i].Name}).explain(err)
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// trials groups the Python sites, by their index, so that one of each group tells
// of all.
func trials(sites []*config.Site) (groups [][]int) {
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

// tryLoad starts one worker of a site and ends it when it is ready.
func (s *Supervisor) tryLoad(ctx context.Context, c *config.Site) error {
	plain := *c
	plain.Preload.Mode = string(wsgi.PreloadOff) // one interpreter is enough
	plain.MemoryLimitHard = 0                    // control groups are the supervisor's
	t, err := s.newSite(&plain, s.lookAtCode())
	if err != nil {
		return err
	}
	defer t.close()
	w, err := t.current.Launch(ctx, c.Name+"/1")
	if err != nil {
		return err
	}
	w.Stop(c.ShutdownTimeout)
	w.(worker).Close()
	return nil
}
