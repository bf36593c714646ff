package fastcgi

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// tokens let a request be taken back that waits in a worker's socket behind another
// one. Each has a token: the worker takes one before it begins such a request, and
// passes over the request when there is none. So who takes one back first has the
// last request that was not begun; the kernel sees to it that only one of both does
// (eventfd(2), a semaphore).
type tokens int

func newTokens() (tokens, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
	return tokens(fd), err
}

// add makes one token.
func (t tokens) add() error {
	_, err := unix.Write(int(t), binary.NativeEndian.AppendUint64(nil, 1))
	return err
}

// take tells whether there was one.
func (t tokens) take() bool {
	var b [8]byte
	n, err := unix.Read(int(t), b[:])
	return err == nil && n == len(b)
}

func (t tokens) close() { unix.Close(int(t)) }
