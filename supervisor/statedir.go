package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/multisite/multisite/supervisor/control"
)

// stateDirs are the directories of the state directory in which only we may write.
var stateDirs = []string{"logs", "run", "spool", "python"}

// MakeStateDir makes a directory that sites of other users may pass through,
// whatever our umask is. One that is there stays as it is, but is refused where
// somebody else could decide what is in it: what we run, and who may ask us, stands there.
func MakeStateDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := checkParents(dir); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o711); {
	case err == nil:
		return os.Chmod(dir, 0o711)
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := checkOwn(dir, dir); err != nil {
		return err
	}
	for _, name := range stateDirs {
		if err := checkOwn(dir, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkOwn refuses a directory, if it is there, that is not ours alone.
func checkOwn(stateDir, dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return refuseDir(stateDir, dir+" is a symbolic link", `write the directory itself as state_dir in sites.toml`)
	case !info.IsDir():
		return refuseDir(stateDir, dir+" is not a directory", "")
	case uid != os.Geteuid() && uid != 0:
		return refuseDir(stateDir, fmt.Sprintf("%s belongs to %s, not to %s", dir, userName(uid), userName(os.Geteuid())),
			fmt.Sprintf("run multisite as %s, or name another state_dir in sites.toml", userName(uid)))
	case info.Mode().Perm()&0o002 != 0:
		return refuseDir(stateDir, "everybody may write in "+dir, "chmod o-w "+dir)
	}
	return nil
}

// checkParents refuses a directory that anybody could put another one in the place of.
func checkParents(dir string) error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return err
	}
	for ; ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return refuseDir(dir, "everybody may rename what is in "+parent, "chmod o-w "+parent)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

func refuseDir(stateDir, reason, hint string) error {
	return &control.Error{Message: fmt.Sprintf("state directory %s refused: %s", stateDir, reason), Hint: hint}
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
