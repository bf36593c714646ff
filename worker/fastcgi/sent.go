package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

	hasBuffered bool // see HasBuffered
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

// Receive reads what has arrived into buf. It returns nil and no error while the rest of
// the answer is about to come; wire.ErrNotSimple if the answer is complete but only Await
// can read it; and wire.ErrMustWait if Await may have to wait for it, because it comes in
// pieces, is too large or malformed.
//
// After wire.ErrMustWait the caller recalls the followers of the request. If one cannot be
// recalled, the worker has begun it: then all of this answer is in the socket, and one more
// Receive returns it.
func (s *Sent) Receive(buf []byte) (*wire.Answer, error) {
	c := s.conn
	if len(s.unsent) > 0 {
		return nil, wire.ErrMustWait
	}
	data := append(buf[:0], c.buffered...)
	grow := len(data) == cap(data)
	for read := false; ; read = true {
		a, left, err := s.take(data)
		missing := err == errPart || err == errPieces
		switch data = left; {
		case err == nil, err == wire.ErrNotSimple:
			return a, err
		case read && !(missing && c.mayHaveMore && grow && len(data) < maxInSocket):
			return nil, s.keepPart(data, err == errPart && !c.mayHaveMore && !c.eof)
		case grow:
			data = slices.Grow(data, len(data))
		}
		n, again, _ := c.bare.Read(data[len(data):cap(data)])
		c.mayHaveMore, c.eof = n == cap(data)-len(data), n == 0 && !again
		data = data[:len(data)+n]
	}
}

// maxInSocket is more than what fits into the socket: a worker that has begun its next
// request while nobody reads cannot have written a larger answer.
const maxInSocket = 1 << 20

// keepPart keeps an answer that is not complete yet. soon says that the rest of it is about
// to come.
func (s *Sent) keepPart(data []byte, soon bool) error {
	s.conn.buffered = append(s.conn.buffered[:0], data...)
	if s.hasBuffered = !soon; soon { // no event announces what was read already
		return nil
	}
	return wire.ErrMustWait
}

// take returns the answer that data begins with, and data without the skip records in
// front of it. It keeps what follows the answer.
func (s *Sent) take(data []byte) (*wire.Answer, []byte, error) {
	c := s.conn
	c.parser.id = s.id
	data, _ = c.parser.dropSkips(data)
	after := c.parser
	content, rest, err := after.whole(data)
	if err != nil {
		return nil, data, err
	}
	a, err := parseAnswer(content)
	simple := err == nil && a.Plain(s.head)
	switch {
	case c.line == 1 && !(simple && after.ends(rest)): // not simple, or more than there should be
		return nil, data, wire.ErrMustWait
	case !simple:
		s.moveToMemory(data[:len(data)-len(rest)])
		a, err = nil, wire.ErrNotSimple
	}
	c.parser, c.buffered = after, append(c.buffered[:0], rest...)
	s.hasBuffered = len(rest) > 0 || c.mayHaveMore
	s.leaveLine(c)
	return a, data, err
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
	case s.conn.memory: // the worker has finished with it
		return nil
	}
	return s.client.reopen(deadline)
}

// parseAnswer parses a CGI answer. It leaves anything unusual to Await.
func parseAnswer(content []byte) (*wire.Answer, error) {
	end := headEnd(content)
	if end < 0 {
		return nil, wire.ErrMustWait
	}
	head := string(content[:end])
	a := &wire.Answer{Body: content[end:], Fields: make([][2]string, 0, strings.Count(head, "\n"))}
	var location []string
	status, err := eachField(head, func(name, value string) {
		if name == "Location" {
			location = append(location, value)
		}
		a.Fields = append(a.Fields, [2]string{name, value})
	})
	if err == nil {
		a.Status, status, err = statusOf(status, len(location) > 0 && location[0] != "")
		_, a.Reason, _ = strings.Cut(status, " ")
	}
	if err != nil {
		return nil, wire.ErrMustWait
	}
	return a, nil
}

// headEnd returns where the body begins; -1: the header does not end.
func headEnd(content []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			return -1
		}
		if i += n; endsHead(content[:i+1]) {
			return i + 1
		}
	}
}
