package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/control"
)

// stateDirs are the directories of the state directory in which only we may write.
var stateDirs = []string{"logs", "run", "spool", "python"}

// MakeStateDir makes a directory that sites of other users may pass through,
// whatever our umask is. One that is there stays as it is, but is refused where
// somebody else could decide what is in it: what we run, and who may ask us, stands there.
func MakeStateDir(dir string) error {
	state := ownDir{"state directory", "state_dir", dir}
	if err := state.make(0o711); err != nil {
		return err
	}
	for _, name := range stateDirs {
		if err := state.check(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// findStateDir returns where the state directory really is: made now, or that of the
// supervisor before an upgrade. A link on the way to it (current -> releases/7) may
// lead elsewhere later.
func (s *Supervisor) findStateDir() (string, error) {
	if s.inherited != nil && s.inherited.StateDir != "" {
		return s.inherited.StateDir, keepStateDir(s.inherited.StateDir)
	}
	if err := MakeStateDir(s.cfg.StateDir); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(s.cfg.StateDir)
}

// keepPeriod is how long bodies and answers have no place on the disk, at most.
const keepPeriod = 3 * time.Second

// watchStateDir makes it again where it was removed.
func (s *Supervisor) watchStateDir(ctx context.Context) {
	ticker := time.NewTicker(keepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := s.keepDirs(); err != nil {
			s.log.Error("the state directory is gone", "error", err)
		}
	}
}

// findLogDir is findStateDir for the logs.
func (s *Supervisor) findLogDir() (string, error) {
	if s.inherited != nil && s.inherited.LogDir != "" {
		return s.inherited.LogDir, MakeLogDir(s.inherited.LogDir)
	}
	if err := MakeLogDir(s.cfg.LogDir); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(s.cfg.LogDir)
}

// keepDirs makes the state directory and that of the logs again, where they were removed
// while we run: with the release that they were in.
func (s *Supervisor) keepDirs() error {
	err := keepStateDir(s.stateDir)
	if _, gone := os.Stat(s.logDir); err == nil && gone != nil {
		err = MakeLogDir(s.logDir)
	}
	return err
}

func keepStateDir(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
		return nil
	}
	if err := MakeStateDir(dir); err != nil {
		return err
	}
	for _, name := range []string{"run", "spool"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// MakeLogDir makes a directory for the logs, or refuses one as MakeStateDir does.
func MakeLogDir(dir string) error {
	return ownDir{"log directory", "log_dir", dir}.make(0o700)
}

// ownDir is a directory that must be ours alone.
type ownDir struct{ what, key, path string }

func (d ownDir) make(mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
		return fmt.Errorf("make the %s: %w", d.what, err)
	}
	if err := d.checkParents(); err != nil {
		return err
	}
	switch err := os.Mkdir(d.path, mode); {
	case err == nil:
		return os.Chmod(d.path, mode)
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("make the %s: %w", d.what, err)
	}
	return d.check(d.path)
}

// check refuses a directory, if it is there, that is not ours alone.
func (d ownDir) check(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return d.refuse(path+" is a symbolic link", fmt.Sprintf("write the directory itself as %s in sites.toml", d.key))
	case !info.IsDir():
		return d.refuse(path+" is not a directory", "")
	case uid != os.Geteuid() && uid != 0:
		return d.refuse(fmt.Sprintf("%s belongs to %s, not to %s", path, userName(uid), userName(os.Geteuid())),
			fmt.Sprintf("run multisite as %s, or name another %s in sites.toml", userName(uid), d.key))
	case info.Mode().Perm()&0o002 != 0 && minds():
		return d.refuse("everybody may write in "+path, "chmod o-w "+path)
	}
	return nil
}

// checkParents refuses a directory that anybody could put another one in the place of.
func (d ownDir) checkParents() error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	for ; minds(); parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return d.refuse("everybody may rename what is in "+parent, "chmod o-w "+parent)
		}
		if parent == filepath.Dir(parent) {
			break
		}
	}
	return nil
}

// minds tells whether a directory in which everybody may write is a reason not to start:
// for root, whose sites have other users. In a container volumes are like that (emptyDir
// of Kubernetes), who is not root can not change it, and there is nobody else.
func minds() bool { return os.Geteuid() == 0 && os.Getpid() != 1 }

func (d ownDir) refuse(reason, hint string) error {
	return &control.Error{Message: fmt.Sprintf("%s %s refused: %s", d.what, d.path, reason), Hint: hint}
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
