package supervisor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/worker/wsgi"
)

// Check loads the code of every Python site once, as a worker of it would, and
// returns why it does not load where it does not. It uses a directory of its
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
	s := &Supervisor{stateDir: dir, launches: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if s.logs, err = openLogs(filepath.Join(dir, "logs"), nil); err != nil {
		return []error{err}
	}
	defer s.logs.close()
	errs := make([]error, len(cfg.Sites))
	var wg sync.WaitGroup
	for i, c := range cfg.Sites {
		if c.Kind == config.WSGI {
			wg.Go(func() { errs[i] = s.tryLoad(ctx, c) })
		}
	}
	wg.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// tryLoad starts one worker of a site and ends it when it is ready.
func (s *Supervisor) tryLoad(ctx context.Context, c *config.Site) error {
	plain := *c
	plain.Preload.Mode = string(wsgi.PreloadOff) // one interpreter is enough
	plain.MemoryLimitHard = 0                    // control groups are the supervisor's
	t, err := s.newSite(&plain)
	if err != nil {
		return err
	}
	defer t.close()
	w, err := t.current.Launch(ctx, c.Name+"/1")
	if err != nil {
		return t.explain(err)
	}
	w.Stop(c.ShutdownTimeout)
	w.(worker).Close()
	return nil
}
