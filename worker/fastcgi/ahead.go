package fastcgi

import (
	"bytes"
	"errors"
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
	overloaded = 2                 // protocol status of a request that was passed over (FCGI_OVERLOADED)
)

var errNotAhead = errors.New("the worker takes no request behind the one it has")

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
	c.tokens, c.greeted = t, true
}

// welcomed reads the answer to greet.
func (c *conn) welcomed(content []byte) {
	c.greeted = false
	c.ahead = bytes.Equal(content, appendPair(nil, aheadName, "1"))
}

// sendAhead sends a request behind those that the worker has, if it takes that.
func (c *conn) sendAhead(h *wire.Head, w wire.Watcher) error {
	if !c.ahead || len(c.skip) > 0 || c.tokens.add() != nil {
		return errNotAhead
	}
	err := c.sendNow(h, w, flagAhead)
	if errors.Is(err, ErrNotSent) {
		c.tokens.take() // there is one at least for each request that was sent, and this one
	}
	return err
}

// TakeBack undoes Send of the last request on its way, if the worker has another one
// before it and has not begun it.
func (s *Sent) TakeBack() bool {
	if !s.behind || !s.conn.tokens.take() {
		return false
	}
	s.conn.line--
	s.conn.skip = slices.Insert(s.conn.skip, 0, s.id)
	return true
}

// More tells, once the answer was taken, whether the next one may be here: no event
// will tell of it.
func (s *Sent) More() bool { return s.more }

// passOver drops the word of the worker that it has passed over requests. false: a
// part of it is missing.
func (c *conn) passOver(data []byte) (rest []byte, ok bool) {
	for len(c.skip) > 0 && len(data) > 0 {
		if len(data) < headerSize {
			return data, false
		}
		if data[1] != typeEndRequest || data[3] != c.skip[0] {
			return data, true
		}
		if len(data) < headerSize+endSize {
			return data, false
		}
		if data[headerSize+4] != overloaded {
			return data, true // no answer to what was taken back: a record that nobody knows
		}
		data, c.skip = data[headerSize+endSize:], c.skip[1:]
	}
	return data, true
}

// awaitPassedOver is passOver for who waits. What comes instead is for him to read.
func (c *conn) awaitPassedOver() {
	for len(c.skip) > 0 {
		data, err := c.br.Peek(headerSize)
		if err == nil && data[1] == typeEndRequest {
			data, err = c.br.Peek(headerSize + endSize)
		}
		rest, _ := c.passOver(data)
		if err != nil || len(rest) == len(data) {
			return
		}
		_, _ = c.br.Discard(len(data)) // they were just peeked
	}
}

// aside puts a whole answer that Await is to read on a connection of its own, which
// is memory: the worker's may have the next answer already.
func (s *Sent) aside(records []byte) {
	s.conn = newConn(s.conn.client, &memory{*bytes.NewReader(bytes.Clone(records))})
	s.conn.id, s.conn.once = s.id, true
}

// memory is a stream with nobody at the other end.
type memory struct{ bytes.Reader }

func (*memory) Write(p []byte) (int, error) { return len(p), nil }
func (*memory) Close() error                { return nil }
func (*memory) SetDeadline(time.Time) error { return nil }
