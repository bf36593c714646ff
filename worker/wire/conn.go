package wire

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/unixsock"
)

// ErrNotWhole says that an answer has to be waited for: it comes in pieces, is too
// large, or is not as it should be.
var ErrNotWhole = errors.New("the answer does not come as a whole")

// ErrAside says that an answer is whole, but not one that can be taken without a look
// at it: Await does not wait for it.
var ErrAside = errors.New("the answer is no simple one")

// NotAhead stands for the descriptor of a request that was not sent since the worker has
// another one, and takes none behind that.
const NotAhead = -2

// Watcher tells its owner when there is something to read on a descriptor.
type Watcher interface {
	Watch(fd int) error
	Unwatch(fd int)
}

// Conn is a connection to a worker as a bare descriptor. Who does not wait uses
// that. For who waits, a copy of it is given to the runtime's poller for as long as
// the request lasts: a poller that watched it all the time would wake for every
// answer that another one takes.
type Conn struct {
	fd      int // -1: closed
	watcher Watcher
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*Conn, error) {
	conn, err := unixsock.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	fd, err := Dup(conn)
	if err != nil {
		return nil, err
	}
	return NewConn(fd), nil
}

// NewConn returns the connection of a non-blocking descriptor, which becomes its own.
func NewConn(fd int) *Conn { return &Conn{fd: fd} }

// FD is the descriptor.
func (c *Conn) FD() int { return c.fd }

// Watch lets w tell of the connection, until Wait or Close.
func (c *Conn) Watch(w Watcher) error {
	if c.watcher != nil {
		return nil
	}
	if err := w.Watch(c.fd); err != nil {
		return err
	}
	c.watcher = w
	return nil
}

func (c *Conn) unwatch() {
	if c.watcher != nil {
		c.watcher.Unwatch(c.fd)
		c.watcher = nil
	}
}

// Send writes a request into the socket's buffer, where it fits, and lets w tell of
// the answer. sent: something of it went out, for all that it failed.
func (c *Conn) Send(b []byte, w Watcher) (sent bool, err error) {
	if err := c.Watch(w); err != nil {
		return false, err
	}
	n, err := unix.Write(c.fd, b)
	switch {
	case n == len(b):
		return true, nil
	case n <= 0:
		return false, err
	}
	return true, errors.New("the request does not fit the socket's buffer")
}

// Read reads what there is. again: there is nothing, yet.
func (c *Conn) Read(b []byte) (n int, again bool, err error) {
	n, err = unix.Read(c.fd, b)
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, true, nil
	}
	return max(n, 0), false, err
}

// Wait returns a copy to wait on. The caller closes it.
func (c *Conn) Wait() (*os.File, error) {
	c.unwatch()
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "worker"), nil
}

// Close closes the connection, but no copy.
func (c *Conn) Close() {
	if c.fd < 0 {
		return
	}
	c.unwatch()
	unix.Close(c.fd)
	c.fd = -1
}

// Sent is a request without a body that was sent, and whose answer is taken
// without waiting for it: by Receive, as often as a Watcher tells of FD, or at last
// by Await. It is used by one goroutine at a time.
type Sent interface {
	FD() int // -1: it was not sent; Await says why, or sends it. NotAhead: nor will Await
	// Receive reads what has arrived, into buf. It returns nil while the answer is
	// not whole but about to be, and ErrNotWhole or ErrAside for one that Await must take.
	Receive(buf []byte) (*Answer, error)
	Alone()         // lets no other request be sent behind this one
	More() bool     // tells, after Receive, whether the answer to the next request may be here
	TakeBack() bool // undoes Send, where the worker had another request and has not begun this one
	// Await waits for the answer as http.RoundTripper does. r is what was sent.
	Await(r *http.Request) (*http.Response, error)
	// Close gives it up, and returns nil when the worker has left it.
	Close(deadline time.Time) error
}
