package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
)

// TestFindDirs follows links in their names once, and takes those of before an upgrade.
func TestFindDirs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	if err := errors.Join(os.MkdirAll(in("releases/1"), 0o755), os.Symlink("releases/1", in("current"))); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{StateDir: in("current/state"), LogDir: in("current/logs")}
	state, err := findStateDir(cfg, nil)
	logs, errLogs := findLogDir(cfg, nil)
	if err := errors.Join(err, errLogs); err != nil || state != in("releases/1/state") || logs != in("releases/1/logs") {
		t.Errorf("got %s and %s, %v", state, logs, err)
	}
	before := &Inheritance{handover: handover{StateDir: in("before/state"), LogDir: in("before/logs")}}
	state, err = findStateDir(cfg, before)
	logs, errLogs = findLogDir(cfg, before)
	if err := errors.Join(err, errLogs); err != nil || state != in("before/state") || logs != in("before/logs") {
		t.Errorf("after an upgrade: %s and %s, %v", state, logs, err)
	}
	for _, path := range []string{state, logs} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestKeepDirectories makes again what was removed, also for the sockets of a site.
func TestKeepDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := directories{state: filepath.Join(dir, "release/state"), logs: filepath.Join(dir, "release/logs")}
		sockets := filepath.Join(d.state, statedir.RunDir, "blog.1")
		s := &Supervisor{dirs: d, log: slog.New(slog.DiscardHandler)}
		s.sites.sites = []*site{{current: &generation{sockets: sockets}}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*keepPeriod/2)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.keepDirectories(ctx)
		}()
		<-done // after two looks
		for _, path := range []string{d.state, d.logs, sockets} {
			if info, err := os.Stat(path); err != nil || !info.IsDir() {
				t.Errorf("%s: %v", path, err)
			}
		}
		if info, err := os.Stat(d.state); err != nil || info.Mode().Perm() != 0o711 {
			t.Errorf("users of sites do not pass through %v, %v", info.Mode(), err)
		}
	})
}

// TestDirectories_KeepRefuses: Keep refuses a directory that somebody has put in the
// place of ours, and its error has a hint for the caller.
func TestDirectories_KeepRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := directories{state: filepath.Join(dir, "state"), logs: filepath.Join(dir, "logs")}
	if err := os.Symlink("nowhere", d.state); err != nil {
		t.Fatal(err)
	}
	var refused *control.Error
	if err := d.keep(); !errors.As(err, &refused) || refused.Hint == "" {
		t.Errorf("got %v", err)
	}
}
