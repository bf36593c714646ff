package account

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f with the account's rights to files instead of ours. They hold for
// this thread, so f may neither start a process nor leave work to a goroutine.
func (a *Account) Do(f func()) error {
	if a == nil {
		f()
		return nil
	}
	runtime.LockOSThread() // no other thread is made from a locked one
	defer runtime.UnlockOSThread()
	before := rights{unix.Getegid(), unix.Geteuid(), nil}
	var err error
	if before.groups, err = unix.Getgroups(); err != nil {
		return err
	}
	defer func() {
		if err := before.take(); err != nil { // the next work of this thread would have wrong ones
			panic(fmt.Sprintf("take back our rights: %v", err))
		}
	}()
	if err := (rights{a.GID, a.UID, a.Groups}).take(); err != nil {
		return fmt.Errorf("take the rights of user %q: %w", a.Name, err)
	}
	f()
	return nil
}

// rights are what counts when a thread opens a file (setfsuid(2)).
type rights struct {
	gid, uid int
	groups   []int
}

// take changes this thread. The group comes first: giving up root's rights to
// files, and taking them again, is the last step's.
func (r rights) take() error {
	if err := setThreadGroups(r.groups); err != nil {
		return err
	}
	for _, id := range []struct {
		set func(int) (int, error)
		to  int
	}{{unix.SetfsgidRetGid, r.gid}, {unix.SetfsuidRetUid, r.uid}} {
		_, _ = id.set(id.to) // it tells the old number, and no error
		if now, _ := id.set(-1); now != id.to {
			return unix.EPERM
		}
	}
	return nil
}

// Access is what somebody wants to do with a file.
type Access uint32

// The kinds of access.
const (
	Read Access = unix.R_OK
	Run  Access = unix.X_OK // a program; or enter a directory
)

func (m Access) String() string {
	if m == Run {
		return "run"
	}
	return "read"
}

// May returns why the account may not do something with a file or directory, and
// which directory on the way is in the way. What does not exist is no matter.
func (a *Account) May(want Access, path string) error {
	if a == nil {
		return nil
	}
	if dir := a.closedOnTheWay(path); dir != "" {
		return fmt.Errorf("user %q may not enter %s", a.Name, dir)
	}
	err := a.look(func() error { return unix.Faccessat(unix.AT_FDCWD, path, uint32(want), unix.AT_EACCESS) })
	if !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		return a.May(want, real)
	}
	return fmt.Errorf("user %q may not %s %s", a.Name, want, path)
}

// closedOnTheWay returns the first directory of path, itself included if it is
// one, that the account may not enter.
func (a *Account) closedOnTheWay(path string) string {
	for _, dir := range upTo(filepath.Clean(path)) {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() {
			return ""
		}
		err = a.look(func() error { _, err := os.Stat(dir + "/."); return err })
		if !errors.Is(err, fs.ErrPermission) {
			continue
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
			return a.closedOnTheWay(real)
		}
		return dir
	}
	return ""
}

func (a *Account) look(f func() error) (err error) {
	if doErr := a.Do(func() { err = f() }); doErr != nil {
		return doErr
	}
	return err
}

// upTo returns "/", "/srv" and "/srv/shop" for "/srv/shop".
func upTo(path string) []string {
	if dir := filepath.Dir(path); dir != path {
		return append(upTo(dir), path)
	}
	return []string{path}
}
