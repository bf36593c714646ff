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

const (
	flagFollower  = 0x80              // of BEGIN_REQUEST: take a token, or skip this request
	followersName = "MULTISITE_AHEAD" // of FCGI_GET_VALUES: whether the worker uses the tokens
	maxLine       = 100               // requests in one line
	statusSkipped = 2                 // protocol status of a skipped request (FCGI_OVERLOADED)
)

var errNoFollower = errors.New("the worker takes no request behind the one it has")

// greet sends the greeting of a new connection, with the tokens. If there are none, the
// connection has one request at a time.
func (c *conn) greet() {
	t, err := newTokens()
	if err != nil {
		return
	}
	content := appendPair(nil, followersName, "")
	b := append(appendHeader(nil, typeGetValues, managementID, len(content)), content...)
	if n, err := unix.SendmsgN(c.bare.FD(), b, unix.UnixRights(int(t)), nil, unix.MSG_NOSIGNAL); err != nil || n != len(b) {
		t.close()
		return
	}
	c.tokens, c.parser.greeting = t, true
}

// readGreeting reads an answer to FCGI_GET_VALUES, which may be the one to the greeting.
func (c *conn) readGreeting(content []byte) {
	if c.parser.greeting {
		c.parser.greeting, c.followers = false, bytes.Equal(content, appendPair(nil, followersName, "1"))
	}
}

// sendFollower sends a request behind those that are on the connection, if the worker
// accepts followers there now. Large bodies would soon fill the socket. If only a part of it fits into the socket, the connection
// has no other request, and the follower is recalled at once; but the worker may have
// begun it, since it does not wait for the end of a body. Then Await sends the rest.
func (c *conn) sendFollower(h *wire.Head, w wire.Watcher) (rest []byte, err error) {
	if !c.followers || c.noReuse || c.line >= maxLine || len(h.Body) > maxCopied || len(c.parser.recalled) > 0 || c.tokens.add() != nil {
		return nil, errNoFollower
	}
	rest, err = c.sendNow(h, w, flagFollower)
	c.noReuse = len(rest) > 0
	if (err != nil || len(rest) > 0) && c.tokens.take() { // which token does not matter: there is one for each follower that was not begun
		return nil, errNoFollower
	}
	return rest, err
}

// Recall undoes the sending of a follower, which must be the last request of its line. It
// reports whether the worker had not begun that.
func (s *Sent) Recall() bool {
	if !s.follower || !s.conn.tokens.take() {
		return false
	}
	s.conn.line--
	s.conn.parser.recalled = slices.Insert(s.conn.parser.recalled, 0, s.id)
	return true
}

// HasBuffered reports, after Receive, whether the next answer of the line may have been
// read from the socket already. No event will announce it then.
func (s *Sent) HasBuffered() bool { return s.hasBuffered }

// moveToMemory gives the request a connection of its own that consists of records, for
// Await to read. The worker's connection may have the next answer already.
func (s *Sent) moveToMemory(records []byte) {
	s.conn = newConn(s.conn.client, noPeer{})
	s.conn.buffered, s.conn.memory = bytes.Clone(records), true
}

// noPeer is a stream without a peer: it is at its end, and drops what is written.
type noPeer struct{}

func (noPeer) Read([]byte) (int, error)    { return 0, io.EOF }
func (noPeer) Write(p []byte) (int, error) { return len(p), nil }
func (noPeer) Close() error                { return nil }
func (noPeer) SetDeadline(time.Time) error { return nil }
