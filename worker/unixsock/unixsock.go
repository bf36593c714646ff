// Package unixsock creates and dials unix stream sockets by path, however long the path is.
// The kernel limits a socket's address to 107 bytes (unix(7)); a socket with a longer path is
// reached through its directory's descriptor, as /proc/self/fd/N/name.
//
// Sockets are created with mode 0600. An existing one is replaced only if nobody listens on
// it.
package unixsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPath is the length of the longest path that fits into sockaddr_un with its final NUL.
const maxPath = 107

// ErrInUse says that another process listens on the socket.
var ErrInUse = errors.New("another process listens on this socket")

// Listen binds path and returns the listening socket as a blocking, close-on-exec file,
// which the caller can give to a child process that accepts connections.
func Listen(path string, backlog int) (*os.File, error) {
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	err = withShortPath(path, func(short string) error { return unix.Bind(fd, &unix.SockaddrUnix{Name: short}) })
	if err == nil {
		err = os.Chmod(path, 0o600) // before listen(2), so that nobody has connected
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return f, nil
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*net.UnixConn, error) {
	var conn net.Conn
	err := withShortPath(path, func(short string) (err error) {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// removeStale removes a socket that a process has left behind.
func removeStale(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	conn, err := Dial(context.Background(), path)
	if err == nil {
		conn.Close()
		return ErrInUse
	}
	return os.Remove(path)
}

// withShortPath calls f with a name of path that fits into a socket address.
func withShortPath(path string, f func(short string) error) error {
	if len(path) <= maxPath {
		return f(path)
	}
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path))
}
