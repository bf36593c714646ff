package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// SetGroup lets the members of a group, beside the owner, use the control socket of
// a state directory; nil: nobody else. The group may pass through the directory,
// and nothing else in it is opened to it. Who is connected stays so.
func SetGroup(stateDir string, gid *int) error {
	path := SocketPath(stateDir)
	err := os.Chmod(path, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // it was removed while the supervisor runs
		return nil
	}
	if err != nil || gid == nil {
		return err
	}
	if err := os.Chown(path, -1, *gid); err != nil {
		return err
	}
	info, err := os.Stat(stateDir)
	if err != nil {
		return err
	}
	const pass = 0o011
	if mode := info.Mode().Perm(); mode&pass != pass {
		if err := os.Chmod(stateDir, mode|pass); err != nil {
			return err
		}
	}
	return os.Chmod(path, 0o660)
}

// denied says who may use the control socket, to somebody who may not.
func denied(stateDir string) *Error {
	info, err := os.Stat(SocketPath(stateDir))
	if err != nil {
		info, err = os.Stat(stateDir)
	}
	if err != nil {
		return &Error{Message: "you may not look into " + stateDir + ", where the supervisor is asked"}
	}
	st := info.Sys().(*syscall.Stat_t)
	owner := userName(st.Uid)
	who, hint := "root", `control_group = "NAME" in sites.toml lets the members of a group`
	if st.Uid != 0 {
		who = owner + " and root"
	}
	if info.Mode().Type() == fs.ModeSocket && info.Mode().Perm()&0o060 == 0o060 {
		who, hint = who+" and the members of "+groupName(st.Gid), "who has become a member must log in again"
	}
	return &Error{Message: fmt.Sprintf("the supervisor of %s runs as %s; only %s may ask it", stateDir, owner, who), Hint: hint}
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return "group " + g.Name
	}
	return "group " + id
}

// ownerKey is the key of a connection's context that tells whether the caller could
// do all that we can without us.
type ownerKey struct{}

func withOwner(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, ownerKey{}, isOwner(conn))
}

func isOwner(conn net.Conn) (owner bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // it fails when the caller has left
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		owner = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
	})
	return owner
}
