package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// RefusedError says why a directory is not used.
type RefusedError struct {
	Reason string // a whole sentence for a person
	Hint   string // what to do about it; "": nothing is known
}

func (e *RefusedError) Error() string { return e.Reason }

// owned is a directory that must belong to the user of this process.
type owned struct {
	what string // "state directory"
	key  string // of sites.toml, which names it
	path string
}

// make makes the directory, or checks an existing one.
func (d owned) make(mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
		return fmt.Errorf("make the %s: %w", d.what, err)
	}
	if err := d.checkParents(); err != nil {
		return err
	}
	switch err := os.Mkdir(d.path, mode); {
	case err == nil:
		return os.Chmod(d.path, mode) // the umask may have removed some of it
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("make the %s: %w", d.what, err)
	}
	return d.check(d.path)
}

// check refuses an existing directory, path or one in it, that others can change.
func (d owned) check(path string) error {
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
	case info.Mode().Perm()&0o002 != 0 && refusesWorldWritable():
		return d.refuse("everybody may write in "+path, "chmod o-w "+path)
	}
	return nil
}

// checkParents refuses a directory that another user could replace, since one above
// it is open to all.
func (d owned) checkParents() error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	for ; refusesWorldWritable(); parent = filepath.Dir(parent) {
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

// refusesWorldWritable reports whether a directory in which everybody may write is a
// reason not to start. It is for root, whose sites have other users. It is not in a
// container, whose volumes are like that (emptyDir of Kubernetes): nobody else is there,
// and without root nobody could change them.
func refusesWorldWritable() bool { return os.Geteuid() == 0 && os.Getpid() != 1 }

func (d owned) refuse(reason, hint string) error {
	return &RefusedError{Reason: fmt.Sprintf("%s %s refused: %s", d.what, d.path, reason), Hint: hint}
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
