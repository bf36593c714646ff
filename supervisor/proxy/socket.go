package proxy

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// socket is a client's connection for who waits on it. Unlike what package net makes
// of a descriptor it needs no second one, and knows the client after a reset, too.
type socket struct {
	file
	peer, local address
	idleFrom    atomic.Int64 // when a wait for the client is a long one, in Unix nanoseconds; 0: there is none
}

const (
	bodyPatience = time.Second      // to send the next piece of a body
	takePatience = 10 * time.Second // to take the next piece of an answer
)

// file is an os.File without what is for files on disk (ReadFrom).
type file interface {
	io.ReadWriteCloser
	syscall.Conn
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// newSocket makes a connection of a non-blocking descriptor, which becomes its own.
func newSocket(fd int, peer, local string) *socket {
	return &socket{file: os.NewFile(uintptr(fd), "client"), peer: address(peer), local: address(local)}
}

func (s *socket) LocalAddr() net.Addr  { return s.local }
func (s *socket) RemoteAddr() net.Addr { return s.peer }

// Read fails with errors of package net, which net/http knows.
func (s *socket) Read(b []byte) (int, error) {
	n, err := s.file.Read(b)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		err = &net.OpError{Op: "read", Net: "tcp", Source: s.local, Addr: s.peer, Err: failed.Err}
	}
	return n, err
}

// Write notes how long the client takes.
func (s *socket) Write(b []byte) (int, error) {
	s.waits(takePatience)
	defer s.waited()
	return s.file.Write(b)
}

// waits notes that the client is waited for. Beyond patience its descriptor is another's,
// where there are too few: see census.hurry.
func (s *socket) waits(patience time.Duration) { s.idleFrom.Store(time.Now().Add(patience).UnixNano()) }

func (s *socket) waited() { s.idleFrom.Store(0) }

// base is the socket that a connection was made of.
func (s *socket) base() *socket { return s }

// CloseWrite is for net/http, which ends a connection gently.
func (s *socket) CloseWrite() error {
	return s.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger is for who resets a connection.
func (s *socket) SetLinger(seconds int) error {
	l := &unix.Linger{Onoff: 1, Linger: int32(seconds)}
	return s.control(func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, l) })
}

func (s *socket) control(f func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// detach takes the descriptor out of the connection, which is closed.
func (s *socket) detach() (int, error) {
	defer s.Close()
	return wire.Dup(s)
}

// address is one as package net writes it.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
