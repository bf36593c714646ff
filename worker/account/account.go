// Package account says as which user the processes of a site run. It finds users and
// groups, returns what is needed to start a process as a user, and says whether a user may
// access a file and, if not, which directory on the way prevents it.
//
// A nil Account is the user that runs multisite, with whose rights everything then happens.
// Only root can act for another user. No Account is that of root: a site with a user of
// its own must not get root's rights.
package account

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// Account is a user with the groups that its processes have. It does not change.
type Account struct {
	Name   string // the number, if the user has no entry in the user database
	Home   string // "/" without an entry
	UID    int
	GID    int   // -1: unknown, see HasGroup
	Groups []int // the supplementary groups
}

// ErrRoot says that a site cannot run as root.
var ErrRoot = errors.New("a site cannot be given root's rights")

// Find returns the account of a user, by name or by number, with the groups of the user
// database.
func Find(name string) (*Account, error) {
	u, err := findUser(name)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return find(&Account{Name: name, Home: "/", GID: -1}, name)
	}
	a, err := find(&Account{Name: u.Username, Home: u.HomeDir}, u.Uid)
	if err != nil {
		return nil, err
	}
	if a.GID, err = number(u.Gid); err != nil {
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("find the groups of user %q: %w", name, err)
	}
	for _, id := range ids {
		gid, err := number(id)
		if err != nil {
			return nil, err
		}
		a.Groups = append(a.Groups, gid)
	}
	return a, nil
}

// find sets the UID of an account.
func find(a *Account, uid string) (_ *Account, err error) {
	if a.UID, err = number(uid); err != nil {
		return nil, err
	}
	if a.UID == 0 {
		return nil, ErrRoot
	}
	return a, nil
}

// findUser returns nil for a number that has no entry.
func findUser(name string) (*user.User, error) {
	if _, err := number(name); err == nil {
		u, err := user.LookupId(name)
		if unknown := user.UnknownUserIdError(0); errors.As(err, &unknown) {
			return nil, nil
		}
		return u, err
	}
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return nil, fmt.Errorf("there is no user %q", name)
	}
	return u, err
}

// FindGroup returns the number of a group, by name or by number.
func FindGroup(name string) (int, error) {
	if gid, err := number(name); err == nil {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if unknown := user.UnknownGroupError(""); errors.As(err, &unknown) {
		return 0, fmt.Errorf("there is no group %q", name)
	}
	if err != nil {
		return 0, err
	}
	return number(g.Gid)
}

// number parses the number of a user or group. The highest is refused: it means "no
// change" to the kernel.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not the number of a user or group", s)
	}
	return int(n), nil
}

// HasGroup reports whether GID is known. A user without an entry has no known group.
func (a *Account) HasGroup() bool { return a.GID >= 0 }

// Key returns the same string for accounts with the same rights.
func (a *Account) Key() string {
	if a == nil {
		return ""
	}
	return fmt.Sprint(a.UID, a.GID, a.Groups)
}

// Credential returns what starts a process as the account.
func (a *Account) Credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	for _, gid := range a.Groups {
		c.Groups = append(c.Groups, uint32(gid))
	}
	return c
}

// Become makes this whole process run as the account from now on.
func (a *Account) Become() error {
	if a == nil {
		return nil
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(a.Groups) },
		func() error { return syscall.Setgid(a.GID) },
		func() error { return syscall.Setuid(a.UID) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("become user %q: %w", a.Name, err)
		}
	}
	return nil
}
