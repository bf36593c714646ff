package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/unixsock"
)

// ErrNotSent says that nothing of a request reached the worker: the request may be
// repeated on another worker, whatever its method.
var ErrNotSent = errors.New("the worker was gone before the request was sent")

// ErrMustWait says that only Await can read an answer, or Rest what is missing of it, and
// may have to wait for that: it is not plain, or malformed.
var ErrMustWait = errors.New("the answer has to be waited for")

// ErrNotSimple says that an answer is complete, but that only Await can read it. Await
// does not wait for it.
var ErrNotSimple = errors.New("the answer is not a simple one")

// Outcome says what Send did with a request.
type Outcome int

// The outcomes of Send.
const (
	AwaitOnly  Outcome = iota // not sent, or in part: Await sends it or says why it failed
	Written                   // sent: Receive reads the answer when FD is readable
	NoFollower                // not sent: the worker has another request and takes none behind it
)

// String returns the name of o.
func (o Outcome) String() string {
	switch o {
	case Written:
		return "written"
	case NoFollower:
		return "no follower"
	}
	return "await only"
}

// Watcher reports to its owner when a descriptor is readable.
type Watcher interface {
	Watch(fd int) error
	Unwatch(fd int)
}

// Conn is a connection to a worker as a bare descriptor, which the fast loop writes to
// and reads from without waiting. A goroutine that has to wait gets a copy of the
// descriptor that the Go runtime's poller knows, for as long as the request lasts: a
// poller that knew the descriptor all the time would wake up for each answer that the
// loop reads. One goroutine at a time uses a Conn.
type Conn struct {
	fd      int     // owned by the Conn; -1 once it is closed
	watcher Watcher // what watches fd; nil: nothing does
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

// NewConn returns the connection of a non-blocking descriptor, and owns it from then on.
func NewConn(fd int) *Conn { return &Conn{fd: fd} }

// FD returns the descriptor; -1 once the connection is closed.
func (c *Conn) FD() int { return c.fd }

// Watch has w watch the connection until Wait or Close, unless it is watched already.
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

// Send writes the pieces of a request into the socket's buffer, and has w watch for the
// answer. What does not fit into the buffer is the rest, which somebody who can wait has
// to write. After an error nothing of the request was sent.
func (c *Conn) Send(w Watcher, pieces ...[]byte) (rest []byte, err error) {
	if err := c.Watch(w); err != nil {
		return nil, err
	}
	var n int
	if len(pieces) == 1 {
		n, err = WriteNow(c.fd, pieces[0])
	} else {
		n, err = WritevNow(c.fd, pieces)
	}
	if n <= 0 {
		return nil, err
	}
	for _, p := range pieces {
		done := min(n, len(p))
		n -= done
		rest = append(rest, p[done:]...)
	}
	return rest, nil
}

// Read reads what has arrived. again reports that nothing has, yet. At the end of the
// stream n is 0, again is false, and err is nil.
func (c *Conn) Read(b []byte) (n int, again bool, err error) {
	n, err = ReadNow(c.fd, b)
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, true, nil
	}
	return max(n, 0), false, err
}

// Wait ends the watching and returns a copy of the connection that can be waited on. The
// caller closes the copy.
func (c *Conn) Wait() (*os.File, error) {
	c.unwatch()
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "worker"), nil
}

// Close ends the watching and closes the connection, but no copy of it. It may be called
// more than once.
func (c *Conn) Close() {
	if c.fd < 0 {
		return
	}
	c.unwatch()
	unix.Close(c.fd)
	c.fd = -1
}

// Sent is a request that was given to Send. Its answer is read without
// waiting by Receive, as often as a Watcher reports FD readable, or at last by Await.
// It is used by one goroutine at a time.
type Sent interface {
	InFlight
	Outcome() Outcome // what Send did
	FD() int          // the worker's connection; valid only if Outcome is Written
	// Await waits for the answer as http.RoundTripper does. r is the request that was
	// given to Send.
	Await(r *http.Request) (*http.Response, error)
	// Rest returns what is missing of a body whose beginning Receive has read. When its Close
	// returns nil, the worker has finished with the request. The deadline of ctx bounds it.
	Rest(ctx context.Context) (io.ReadCloser, error)
	// Close gives the request up. It returns nil when the worker has finished with it.
	Close(deadline time.Time) error
}

// InFlight is a request whose Outcome is Written. It is the part of Sent that does not
// wait.
type InFlight interface {
	// Receive reads what has arrived into buf: all that is here, or as much as buf holds.
	// The part is valid until buf is used again.
	// Before the head of the answer, ErrMustWait and ErrNotSimple mean that Await must read
	// it. After the head, ErrMustWait means that Rest must read on; any other error, that the
	// rest will not come. What the part has comes before the error.
	Receive(buf *Buffer) (Part, error)
	HasBuffered() bool // reports, after Receive, whether more may be here, of this answer or the next of the line
	CloseLine()        // lets no other request be sent behind this one
	Recall() bool      // undoes Send of a follower; reports whether the worker had not begun it
}
