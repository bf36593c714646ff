package fastloop

import (
	"crypto/tls"
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

const (
	bodyPatience = time.Second      // to send the next piece of a body; in the loop: all of it
	takePatience = 10 * time.Second // to take the next piece of an answer
)

// Socket is a detached client's connection, for a goroutine that waits on it. Unlike what
// package net makes of a descriptor, it does not copy the descriptor, and knows the
// addresses also after a reset.
type Socket struct {
	file
	peer, local address
	seat        atomic.Pointer[seat] // nil: it is another owner's
	stalledAt   atomic.Int64         // Unix nanoseconds from which on a wait for the client is too long; 0: nobody waits
	secure      *secure              // nil: no TLS
}

// file is an os.File without what is for files on disk (ReadFrom).
type file interface {
	io.ReadWriteCloser
	syscall.Conn
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// NewSocket makes a connection of a non-blocking descriptor, and owns the descriptor.
func NewSocket(fd int, peer, local string) *Socket {
	return &Socket{file: os.NewFile(uintptr(fd), "client"), peer: address(peer), local: address(local)}
}

// newSocket is NewSocket of a descriptor whose local address was not needed before.
func newSocket(fd int, peer string) *Socket {
	local, _ := syscall.Getsockname(fd) // on an error the address is ""
	return NewSocket(fd, peer, addrPort(local))
}

// LocalAddr returns the address that the client has connected to.
func (s *Socket) LocalAddr() net.Addr { return s.local }

// RemoteAddr returns the address of the client.
func (s *Socket) RemoteAddr() net.Addr { return s.peer }

// Read fails with errors of package net, which net/http knows.
func (s *Socket) Read(b []byte) (int, error) {
	if s.secure != nil {
		return s.secure.conn.Read(b)
	}
	return s.readPlain(b)
}

// readPlain reads what is on the wire.
func (s *Socket) readPlain(b []byte) (int, error) {
	n, err := s.file.Read(b)
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		err = &net.OpError{Op: "read", Net: "tcp", Source: s.local, Addr: s.peer, Err: failed.Err}
	}
	return n, err
}

// ReadBody is Read of a body, which may be hurried when descriptors run out.
func (s *Socket) ReadBody(b []byte) (int, error) {
	s.await(bodyPatience)
	defer s.awaited()
	return s.Read(b)
}

// Write may be hurried when descriptors run out.
func (s *Socket) Write(b []byte) (int, error) {
	if s.secure != nil {
		return s.secure.conn.Write(b)
	}
	return s.writePlain(b)
}

// writePlain writes to the wire.
func (s *Socket) writePlain(b []byte) (int, error) {
	s.await(takePatience)
	defer s.awaited()
	return s.file.Write(b)
}

// Flush writes what the loop has not written yet.
func (s *Socket) Flush() error {
	if s.secure == nil {
		return nil
	}
	return s.secure.flush()
}

// TLS returns what requests tell of the connection's TLS; nil: it has none.
func (s *Socket) TLS() *tls.ConnectionState {
	if s.secure == nil {
		return nil
	}
	return s.secure.state
}

// await notes that the client is waited for. If it takes longer than patience, its
// descriptor is given to another client when there are too few (ConnSet.hurry).
func (s *Socket) await(patience time.Duration) {
	s.stalledAt.Store(time.Now().Add(patience).UnixNano())
}

func (s *Socket) awaited() { s.stalledAt.Store(0) }

// base returns the socket, also of a type that embeds one.
func (s *Socket) base() *Socket { return s }

// CloseWrite is for net/http, which ends a connection gently.
func (s *Socket) CloseWrite() error {
	if s.secure != nil {
		_ = s.secure.conn.CloseWrite() // its failure does not matter: the client sees the end
	}
	return s.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger makes Close reset the connection, if seconds is 0.
func (s *Socket) SetLinger(seconds int) error {
	l := &unix.Linger{Onoff: 1, Linger: int32(seconds)}
	return s.control(func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, l) })
}

// SetUnsent bounds how many bytes the kernel holds that it has not sent yet.
func (s *Socket) SetUnsent(bytes int) error {
	return s.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}

func (s *Socket) control(f func(fd int) error) error {
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

// Close closes the connection.
func (s *Socket) Close() error {
	s.seat.Swap(nil).leave()
	s.secure.drop()
	return s.file.Close()
}

// takeFD returns a copy of the descriptor and closes the connection.
func (s *Socket) takeFD() (int, error) {
	defer s.Close()
	return wire.Dup(s)
}

// address is a net.Addr in the form of package net.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
