package wire

import (
	"os"

	"golang.org/x/sys/unix"
)

// Switched is the body of an answer 101: the connection to a worker, which speaks another
// protocol from now on.
type Switched struct {
	*os.File
	Unread []byte // was read behind the answer
}

// CloseWrite ends what is sent to the worker.
func (s *Switched) CloseWrite() error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return err
	}
	return failed
}
