// Package account says who the processes of a site run as. It finds users and
// groups, hands out what starting a process as somebody needs, and tells whether
// somebody may read a file, and which directory is in the way if not.
//
// A nil Account is whoever runs multisite: everything works as without one. Only
// root can act for anybody else. No Account is root's: a site that asks for a
// user wants to be kept from root's rights.
package account

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// Account is a user with the groups that its processes have.
type Account struct {
	Name   string // a number, for a user that has no entry in the user database
	Home   string
	UID    int
	GID    int   // -1: not known, see HasGroup
	Groups []int // supplementary
}

// ErrRoot says that a site can not run as root.
var ErrRoot = errors.New("a site cannot be given root's rights")

// Find returns the account of a user, by name or by number, with the groups that
// the system gives it.
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

func find(a *Account, uid string) (_ *Account, err error) {
	if a.UID, err = number(uid); err != nil {
		return nil, err
	}
	if a.UID == 0 {
		return nil, ErrRoot
	}
	return a, nil
}

// findUser returns nil for a number that no user has.
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

// number reads a user's or group's number. The highest means "no change" to the
// kernel.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not the number of a user or group", s)
	}
	return int(n), nil
}

// HasGroup tells whether GID is known. A number without an entry has no group.
func (a *Account) HasGroup() bool { return a.GID >= 0 }

// Key is equal for accounts with equal rights.
func (a *Account) Key() string {
	if a == nil {
		return ""
	}
	return fmt.Sprint(a.UID, a.GID, a.Groups)
}

// Credential is what starts a process as the account.
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

// Become gives this whole process to the account, for good.
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
