package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSetGroup: the group may use the socket and pass through the directory, and
// nothing more. Without a group only the owner may use the socket.
func TestSetGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := SetGroup(dir, nil); err != nil {
		t.Errorf("no socket: %v", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gid := os.Getgid()
	if os.Geteuid() == 0 {
		gid = 4812
	}
	for _, tt := range []struct {
		gid               *int
		dirMode           fs.FileMode
		wantDir, wantSock fs.FileMode
	}{
		{&gid, 0o700, 0o711, 0o660},
		{&gid, 0o755, 0o755, 0o660},
		{nil, 0o711, 0o711, 0o600},
	} {
		if err := os.Chmod(dir, tt.dirMode); err != nil {
			t.Fatal(err)
		}
		if err := SetGroup(dir, tt.gid); err != nil {
			t.Fatal(err)
		}
		d, dirErr := os.Stat(dir)
		s, sockErr := os.Stat(SocketPath(dir))
		if err := errors.Join(dirErr, sockErr); err != nil {
			t.Fatal(err)
		}
		if d.Mode().Perm() != tt.wantDir || s.Mode().Perm() != tt.wantSock {
			t.Errorf("directory %v, socket %v, want %v and %v", d.Mode(), s.Mode(), tt.wantDir, tt.wantSock)
		}
		if group := int(s.Sys().(*syscall.Stat_t).Gid); group != gid {
			t.Errorf("the socket's group is %d, want %d", group, gid)
		}
	}
}

// TestDenied names the users who may use the control socket.
func TestDenied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	owner := userName(uint32(os.Geteuid()))
	who := "root"
	if os.Geteuid() != 0 {
		who = owner + " and root"
	}
	check := func(what, message, hint string) {
		t.Helper()
		if got := denied(dir); got.Message != message || !strings.HasPrefix(got.Hint, hint) {
			t.Errorf("%s: got %q, hint %q, want %q and %q", what, got.Message, got.Hint, message, hint)
		}
	}
	runs := "the supervisor of " + dir + " runs as " + owner + "; only "
	check("no socket", runs+who+" may use it", `control_group = "NAME" in sites.toml`)
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check("owner only", runs+who+" may use it", `control_group = "NAME" in sites.toml`)
	gid := os.Getgid()
	if err := SetGroup(dir, &gid); err != nil {
		t.Fatal(err)
	}
	check("a group", runs+who+" and the members of "+groupName(uint32(gid))+" may use it", "log in again")
	dir = t.TempDir() + "/none"
	check("no directory", "you may not look into "+dir+", where the control socket is", "")
}

// TestPeers: a caller is the owner if it is the user of this process or root, and
// only these are let in on the abstract socket.
func TestPeers(t *testing.T) {
	t.Parallel()
	if ours := pair(t, os.Geteuid()); !isOwner(ours) {
		t.Error("this process is not the owner")
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	if isOwner(pipe) {
		t.Error("the owner is somebody without a user")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	theirs := pair(t, 4811)
	if isOwner(theirs) {
		t.Error("another user is the owner")
	}
	if uid, err := peer(theirs); err != nil || uid != 4811 {
		t.Errorf("the peer is user %d, %v", uid, err)
	}
}

// pair returns one end of a connection that a user has made with itself.
func pair(t *testing.T, uid int) *net.UnixConn {
	t.Helper()
	var fds [2]int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and ends the thread, which stays another user
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			err = errno
			return
		}
		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	file := os.NewFile(uintptr(fds[0]), "pair")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UnixConn)
}
