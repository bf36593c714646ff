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

// Do calls f with the account's rights to files instead of ours. The rights hold only for
// this thread, so f may neither start a process nor leave work to another goroutine.
func (a *Account) Do(f func()) error {
	if a == nil {
		f()
		return nil
	}
	runtime.LockOSThread() // the Go runtime starts no thread from a locked one
	defer runtime.UnlockOSThread()
	before := rights{unix.Getegid(), unix.Geteuid(), nil}
	var err error
	if before.groups, err = unix.Getgroups(); err != nil {
		return err
	}
	defer func() {
		if err := before.take(); err != nil { // otherwise this thread would go on with the wrong rights
			panic(fmt.Sprintf("take back our rights: %v", err))
		}
	}()
	if err := (rights{a.GID, a.UID, a.Groups}).take(); err != nil {
		return fmt.Errorf("take the rights of user %q: %w", a.Name, err)
	}
	f()
	return nil
}

// rights are the ids that the kernel checks when a thread opens a file (setfsuid(2)).
type rights struct {
	gid, uid int
	groups   []int
}

// take changes the rights of this thread. The user comes last: that step gives up root's
// rights to files, or takes them again.
func (r rights) take() error {
	if err := setThreadGroups(r.groups); err != nil {
		return err
	}
	for _, id := range []struct {
		set func(int) (int, error)
		to  int
	}{{unix.SetfsgidRetGid, r.gid}, {unix.SetfsuidRetUid, r.uid}} {
		_, _ = id.set(id.to) // it returns the old id, never an error
		if now, _ := id.set(-1); now != id.to {
			return unix.EPERM
		}
	}
	return nil
}

// Access is a way to use a file.
type Access uint32

// The kinds of access.
const (
	Read Access = unix.R_OK
	Run  Access = unix.X_OK // execute a program, or enter a directory
)

func (m Access) String() string {
	if m == Run {
		return "run"
	}
	return "read"
}

// May returns nil if the account may use a file or directory in the given way. Its error
// names the first directory on the path that the account may not enter, if there is one.
// A path that does not exist is no error.
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

// closedOnTheWay returns the first directory on the path, including path itself, that the
// account may not enter; "" if there is none.
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

// look calls f with the rights of the account and returns its error.
func (a *Account) look(f func() error) (err error) {
	if doErr := a.Do(func() { err = f() }); doErr != nil {
		return doErr
	}
	return err
}

// upTo returns a path and its parents: "/", "/srv" and "/srv/shop" for "/srv/shop".
func upTo(path string) []string {
	if dir := filepath.Dir(path); dir != path {
		return append(upTo(dir), path)
	}
	return []string{path}
}
