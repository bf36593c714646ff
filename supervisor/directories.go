package supervisor

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/process"
)

// directories are where the state and the logs really are. A link on the way to them
// (current -> releases/7) may have another target later.
type directories struct{ state, logs string }

// findStateDir returns the state directory, which it makes if needed, or that of the
// supervisor before an upgrade.
func findStateDir(cfg *config.Config, in *Inheritance) (string, error) {
	if in != nil && in.StateDir != "" {
		return in.StateDir, statedir.Keep(in.StateDir)
	}
	if err := statedir.Make(cfg.StateDir); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(cfg.StateDir)
}

// findLogDir is findStateDir for the logs.
func findLogDir(cfg *config.Config, in *Inheritance) (string, error) {
	if in != nil && in.LogDir != "" {
		return in.LogDir, statedir.MakeLogs(in.LogDir)
	}
	if err := statedir.MakeLogs(cfg.LogDir); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(cfg.LogDir)
}

// takeLock locks the state directory, or returns the lock that is held since before an
// upgrade.
func takeLock(stateDir string, in *Inheritance) (*statedir.Lock, error) {
	if in != nil {
		return in.lock()
	}
	return statedir.TakeLock(stateDir)
}

// keep makes the directories again that were removed.
func (d directories) keep() error {
	err := statedir.Keep(d.state)
	if err == nil {
		err = statedir.KeepLogs(d.logs)
	}
	var refused *statedir.RefusedError
	if errors.As(err, &refused) {
		return &control.Error{Message: refused.Reason, Hint: refused.Hint}
	}
	return err
}

// strayPatience is how long the strays of a killed supervisor may take to exit.
const strayPatience = 5 * time.Second

// endStrays kills what a killed supervisor left: its children have died with it, but
// not what they had started themselves.
func (s *Supervisor) endStrays() {
	if !s.lock.Stale() {
		return
	}
	killed, err := process.KillMarked(s.mark, strayPatience)
	switch {
	case err != nil:
		s.log.Error("cannot kill processes that a killed supervisor has left", "error", err)
	case killed > 0:
		s.log.Warn("killed processes that a killed supervisor had left", "processes", killed)
	}
}

// keepPeriod is how long, at most, a removed directory is missing. While it is, bodies
// cannot be put on the disk, and workers cannot start.
const keepPeriod = 3 * time.Second

// keepDirectories makes directories again that were removed, until ctx ends: those of
// the state and the logs, and those of the sites' sockets.
func (s *Supervisor) keepDirectories(ctx context.Context) {
	ticker := time.NewTicker(keepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := s.dirs.keep()
		for _, t := range s.sites.all() {
			if current, _ := t.launchedFrom(); err == nil {
				err = current.keepSockets()
			}
		}
		if err != nil {
			s.log.Error("cannot make a removed directory again", "error", err)
		}
	}
}
