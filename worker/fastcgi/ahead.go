package fastcgi

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// Our own worker takes requests ahead: while it is at one, the next ones wait in its
// socket, and are answered in their order. See tokens for how they come back.

const (
	flagAhead  = 0x80              // of BEGIN_REQUEST: take a token, or pass over this request
	aheadName  = "MULTISITE_AHEAD" // of FCGI_GET_VALUES: the worker has the tokens, and knows what they are for
	mostInLine = 100               // requests on their way on one connection
	overloaded = 2                 // protocol status of a request that was passed over (FCGI_OVERLOADED)
)

var errNoFollower = errors.New("the worker takes no request behind the one it has")

// greet gives the worker the tokens of a new connection, and asks whether it knows
// what they are for. Without them it has one request at a time.
func (c *conn) greet() {
	t, err := newTokens()
	if err != nil {
		return
	}
	content := appendPair(nil, aheadName, "")
	b := append(appendHeader(nil, typeGetValues, managementID, len(content)), content...)
	if n, err := unix.SendmsgN(c.bare.FD(), b, unix.UnixRights(int(t)), nil, unix.MSG_NOSIGNAL); err != nil || n != len(b) {
		t.close()
		return
	}
	c.tokens, c.parser.greeted = t, true
}

// welcomed reads an answer to FCGI_GET_VALUES.
func (c *conn) welcomed(content []byte) {
	if c.parser.greeted {
		c.parser.greeted, c.ahead = false, bytes.Equal(content, appendPair(nil, aheadName, "1"))
	}
}

// sendAhead sends a request behind those that the worker has, if it takes that.
func (c *conn) sendAhead(h *wire.Head, w wire.Watcher) error {
	if !c.ahead || c.spoilt || c.line >= mostInLine || len(c.parser.skip) > 0 || c.tokens.add() != nil {
		return errNoFollower
	}
	err := c.sendNow(h, w, flagAhead)
	switch {
	case errors.Is(err, wire.ErrNotSent):
		c.tokens.take() // there is one at least for each request that was sent, and this one
	case err != nil:
		c.spoilt = true
	}
	return err
}

// Recall undoes Send of the last request on its way, if the worker has another one
// before it and has not begun it.
func (s *Sent) Recall() bool {
	if !s.behind || !s.conn.tokens.take() {
		return false
	}
	s.conn.line--
	s.conn.parser.skip = slices.Insert(s.conn.parser.skip, 0, s.id)
	return true
}

// HasBuffered tells, once the answer was taken, whether the next one may be here: no event
// will tell of it.
func (s *Sent) HasBuffered() bool { return s.more }

// aside puts a whole answer that Await is to read on a connection of its own, which
// is memory: the worker's may have the next answer already.
func (s *Sent) aside(records []byte) {
	s.conn = newConn(s.conn.client, ended{})
	s.conn.got, s.conn.once = bytes.Clone(records), true
}

// ended is a stream with nobody at the other end.
type ended struct{}

func (ended) Read([]byte) (int, error)    { return 0, io.EOF }
func (ended) Write(p []byte) (int, error) { return len(p), nil }
func (ended) Close() error                { return nil }
func (ended) SetDeadline(time.Time) error { return nil }
