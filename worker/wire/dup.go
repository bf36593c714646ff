package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Dup returns a copy of the descriptor of a connection or a listener. The copy is
// non-blocking, since that is a property of what both refer to; it is closed at exec, and
// the Go runtime's poller does not know it.
func Dup(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(of uintptr) { fd, dupErr = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, err
	}
	return fd, dupErr
}
