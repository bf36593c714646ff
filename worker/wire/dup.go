package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Dup returns a copy of a connection's or a listener's descriptor: non-blocking as
// that is, close-on-exec, and known to no poller.
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
