package fastcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// Sent is a request that was given to Send or SendFollower; see wire.Sent.
// One goroutine at a time uses it, the same as for all others of its line.
type Sent struct {
	client   *Client
	conn     *conn  // shared with the other requests of its line; nil: none was there, or the one there took no follower
	err      error  // why it was not sent; nil: it was sent, or conn is nil
	unsent   []byte // what did not fit into the socket; Await sends it
	head     bool   // it is a HEAD request
	id       byte   // on conn
	follower bool   // SendFollower made it

	begun       bool  // Receive has returned the head of the answer
	broken      error // why the rest of the answer will not come; nil: it may
	hasBuffered bool  // see HasBuffered
}

// Send sends a request on an idle connection, which w watches from then on. It does not
// wait. If it fails, Await says why; if there is no idle connection, Await makes one.
func (c *Client) Send(h *wire.Head, w wire.Watcher) *Sent {
	s := &Sent{client: c, head: h.Method == http.MethodHead}
	c.mu.Lock()
	if s.conn = c.takeLocked(); s.conn != nil {
		c.busy = s.conn
	}
	c.mu.Unlock()
	if s.conn != nil {
		s.unsent, s.err = s.conn.sendNow(h, w, 0)
		s.noteSent()
	}
	return s
}

// SendFollower sends a request behind those that were sent and are not answered yet. It
// never takes an idle connection: the idle ones are for the heads of lines.
func (c *Client) SendFollower(h *wire.Head, w wire.Watcher) *Sent {
	s := &Sent{client: c, head: h.Method == http.MethodHead, follower: true, err: errNoFollower}
	c.mu.Lock()
	s.conn = c.busy
	c.mu.Unlock()
	if s.conn != nil {
		s.unsent, s.err = s.conn.sendFollower(h, w)
	}
	if s.err != nil {
		s.conn = nil // it belongs to the line
		return s
	}
	s.noteSent()
	return s
}

// noteSent counts the request into the line of its connection, if it was sent.
func (s *Sent) noteSent() {
	s.id = s.conn.id
	if s.err == nil {
		s.conn.line++
	}
}

// Outcome says what Send or SendFollower did.
func (s *Sent) Outcome() wire.Outcome {
	switch {
	case s.err != nil && s.follower:
		return wire.NoFollower
	case s.conn == nil, s.err != nil, len(s.unsent) > 0 && !s.follower:
		return wire.AwaitOnly
	}
	return wire.Written
}

// FD returns the descriptor of the connection. The request must be Written.
func (s *Sent) FD() int { return s.conn.bare.FD() }

// sendNow writes a request into the socket's buffer, and returns what does not fit. After
// an error nothing was sent.
func (c *conn) sendNow(h *wire.Head, w wire.Watcher, flags byte) (rest []byte, err error) {
	var some [4][]byte // so many are enough, but for large bodies
	pieces := c.appendPieces(some[:0], c.appendRequest(h, flags), h.Body)
	c.out = pieces[0]
	if rest, err = c.bare.Send(w, pieces...); err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	return rest, nil
}

// maxCopied is how much of a body is copied, to have one piece instead of three.
const maxCopied = 4 << 10

// appendPieces appends a request that begins with b and has all of its body in memory.
func (c *conn) appendPieces(pieces [][]byte, b, body []byte) [][]byte {
	for len(body) > maxCopied {
		n := min(len(body), maxContent)
		pieces = append(pieces, appendHeader(b, typeStdin, c.id, n), body[:n])
		b, body = nil, body[n:]
	}
	if len(body) > 0 {
		b = append(appendHeader(b, typeStdin, c.id, len(body)), body...)
	}
	return append(pieces, appendHeader(b, typeStdin, c.id, 0))
}

// leaveLine takes an answered request out of the line of c.
func (s *Sent) leaveLine(c *conn) {
	if c.line--; c.line == 0 {
		c.client.lineDone(c)
	}
}

// Await waits for the answer as RoundTrip does. r is the request that was given to Send.
// Await sends it now, if Send found no idle connection.
func (s *Sent) Await(r *http.Request) (*http.Response, error) {
	if s.conn == nil && s.err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, s.err)
	}
	if s.conn == nil {
		return s.client.RoundTrip(r)
	}
	s.CloseLine()
	deadline, _ := r.Context().Deadline()
	err := s.err
	if err == nil {
		err = s.conn.startWaiting()
		s.conn.line = 0
	}
	var resp *http.Response
	if err == nil {
		_ = s.conn.nc.SetDeadline(deadline)
		s.conn.sendRest(s.unsent)
		resp, err = s.conn.receive(r, s.id, deadline)
	}
	if err != nil {
		s.conn.close()
		return nil, connError(err)
	}
	return resp, nil
}

// Rest returns what Receive has not read of the body.
func (s *Sent) Rest(ctx context.Context) (io.ReadCloser, error) {
	s.CloseLine()
	if err := s.conn.startWaiting(); err != nil {
		s.conn.close()
		return nil, connError(err)
	}
	s.conn.line = 0
	deadline, _ := ctx.Deadline()
	_ = s.conn.nc.SetDeadline(deadline)
	s.conn.parser.id = s.id
	return &Body{conn: s.conn, deadline: deadline}, nil
}

// CloseLine prevents that another request is sent behind this one. If there still are
// followers, the worker has begun them without completing this answer, which breaks the
// order: the followers keep the connection, which is closed at the end of the line.
func (s *Sent) CloseLine() {
	switch c := s.conn; {
	case c == nil:
	case c.line > 1:
		c.noReuse = true
		s.moveToMemory(c.buffered)
		s.leaveLine(c)
	default:
		c.Vacate() // a goroutine is about to read
		s.client.clearBusy(c)
	}
}

// Close gives up the request. It returns nil when the worker has finished with it.
func (s *Sent) Close(deadline time.Time) error {
	if s.conn == nil {
		return nil
	}
	s.CloseLine()
	s.conn.close()
	switch {
	case errors.Is(s.err, wire.ErrNotSent):
		return s.err
	case s.broken != nil:
		return s.broken
	case s.conn.memory: // the worker has finished with it
		return nil
	}
	return s.client.reopen(deadline)
}
