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

// SetGroup lets the members of a group use the control socket of a state directory,
// beside its owner; with a nil gid only the owner may use it. The group may then pass
// through the directory, but gets no access to anything else in it. Connections that
// exist are kept.
func SetGroup(stateDir string, gid *int) error {
	path := SocketPath(stateDir)
	err := os.Chmod(path, 0o600)
	if errors.Is(err, fs.ErrNotExist) { // somebody removed it while the supervisor was running
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

// denied returns an error that tells a user without access who has it.
func denied(stateDir string) *Error {
	info, err := os.Stat(SocketPath(stateDir))
	if err != nil {
		info, err = os.Stat(stateDir)
	}
	if err != nil {
		return &Error{Message: "you may not look into " + stateDir + ", where the control socket is"}
	}
	st := info.Sys().(*syscall.Stat_t)
	owner := userName(st.Uid)
	who, hint := "root", `control_group = "NAME" in sites.toml lets the members of a group`
	if st.Uid != 0 {
		who = owner + " and root"
	}
	if info.Mode().Type() == fs.ModeSocket && info.Mode().Perm()&0o060 == 0o060 {
		who, hint = who+" and the members of "+groupName(st.Gid), "log in again after you have become a member"
	}
	return &Error{Message: fmt.Sprintf("the supervisor of %s runs as %s; only %s may use it", stateDir, owner, who), Hint: hint}
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

// ownerKey is the context key under which a connection's context keeps the result of
// isOwner.
type ownerKey struct{}

func withOwner(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, ownerKey{}, isOwner(conn))
}

// isOwner reports whether the peer of conn is root or the user that this process runs as.
// Both could do everything that the supervisor can do without asking it.
func isOwner(conn net.Conn) (owner bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) { // it fails if the connection is closed
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		owner = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
	})
	return owner
}
