package fastloop

import (
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// records is what crypto/tls reads records from and writes them to. While the loop has the
// connection, it never waits: Read fails with os.ErrDeadlineExceeded if nothing has
// arrived, which crypto/tls takes for temporary, and Write keeps what is to be written
// (flush). While a goroutine has the connection, it waits on socket.
type records struct {
	socket  *Socket // nil: the loop has the connection
	turn    turn    // for what a handshake computes; nil: the handshake is over
	fd      int     // of the loop
	drained bool    // nothing is left to read of fd
	out     []byte  // the loop has still to write it
	credit  *credit // of HTTP/2; nil: the loop bounds what it reads
}

// turn is the right of a handshake to compute. So many run at once that the loop always
// gets a processor.
type turn chan struct{}

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

// Read reads a part of a record.
func (r *records) Read(b []byte) (int, error) {
	if r.socket != nil {
		if r.turn != nil {
			r.turn.give()
			defer r.turn.take()
		}
		n, err := r.socket.readPlain(b)
		return r.credit.spend(n, err)
	}
	if r.drained {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := wire.ReadNow(r.fd, b)
	switch {
	case err == unix.EAGAIN:
		r.drained = true
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	r.drained = n < len(b)
	return n, nil
}

// Write writes records, or keeps them for flush.
func (r *records) Write(b []byte) (int, error) {
	if r.socket == nil {
		r.out = append(r.out, b...)
		return len(b), nil
	}
	if err := r.flush(); err != nil {
		return 0, err
	}
	return r.socket.writePlain(b)
}

// flush writes what is kept. In the loop it fails with unix.EAGAIN if the client does not
// take all of it.
func (r *records) flush() error {
	for len(r.out) > 0 {
		var n int
		var err error
		if r.socket != nil {
			n, err = r.socket.writePlain(r.out)
		} else {
			n, err = wire.WriteNow(r.fd, r.out)
		}
		if r.out = r.out[max(n, 0):]; err != nil {
			return err
		}
	}
	r.out = nil
	return nil
}

// base returns the socket, for ConnSet.
func (r *records) base() *Socket { return r.socket }

// Close closes the connection, if a goroutine has it.
func (r *records) Close() error {
	if r.socket == nil {
		return nil
	}
	return r.socket.Close()
}

// LocalAddr and the methods below are those of the socket. crypto/tls sets deadlines to
// bound what the loop does without waiting.
func (r *records) LocalAddr() net.Addr {
	if r.socket == nil {
		return address("")
	}
	if addr, err := netip.ParseAddrPort(string(r.socket.local)); err == nil {
		return net.TCPAddrFromAddrPort(addr) // the type that callbacks of a tls.Config expect
	}
	return r.socket.local
}

// RemoteAddr returns the address of the client.
func (r *records) RemoteAddr() net.Addr {
	if r.socket == nil {
		return address("")
	}
	return r.socket.RemoteAddr()
}

// SetDeadline bounds Read and Write.
func (r *records) SetDeadline(t time.Time) error {
	if r.socket == nil {
		return nil
	}
	return r.socket.SetDeadline(t)
}

// SetReadDeadline bounds Read.
func (r *records) SetReadDeadline(t time.Time) error {
	if r.socket == nil {
		return nil
	}
	return r.socket.SetReadDeadline(t)
}

// SetWriteDeadline bounds Write.
func (r *records) SetWriteDeadline(t time.Time) error {
	if r.socket == nil {
		return nil
	}
	return r.socket.SetWriteDeadline(t)
}
