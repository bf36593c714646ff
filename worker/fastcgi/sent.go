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

// Sent is a request without a body that was sent, and whose answer is taken
// without waiting for it: by Receive, as often as the watcher tells, or at last
// by Await. It is used by one goroutine at a time.
type Sent struct {
	client *Client
	conn   *conn // nil: there was none to send it on; see err
	err    error // why it did not go out
	head   bool  // a HEAD request
	id     byte
	behind bool // the worker had another request when it was sent
	more   bool // see HasBuffered
}

// Send sends a request on an idle connection, which w watches from then on. It does not
// wait. What hinders it is for Await to say, or to mend.
func (c *Client) Send(h *wire.Head, w wire.Watcher) *Sent {
	s := &Sent{client: c, head: h.Method == http.MethodHead}
	c.mu.Lock()
	if s.conn = c.takeLocked(); s.conn != nil {
		c.busy = s.conn
	}
	c.mu.Unlock()
	if s.conn != nil {
		s.err = s.conn.sendNow(h, w, 0)
		s.sent()
	}
	return s
}

// SendFollower sends a request behind those that were sent and are not answered yet. One
// that waits for its turn never takes an idle connection: who has the turn will.
func (c *Client) SendFollower(h *wire.Head, w wire.Watcher) *Sent {
	s := &Sent{client: c, head: h.Method == http.MethodHead, behind: true, err: errNoFollower}
	c.mu.Lock()
	s.conn = c.busy
	c.mu.Unlock()
	if s.conn != nil {
		s.err = s.conn.sendAhead(h, w)
	}
	if s.err != nil {
		s.conn = nil // it is another's
		return s
	}
	s.sent()
	return s
}

// sent notes what is on its way.
func (s *Sent) sent() {
	s.id = s.conn.id
	if s.err == nil {
		s.conn.line++
	}
}

// Outcome says what Send or SendFollower did.
func (s *Sent) Outcome() wire.Outcome {
	switch {
	case s.err != nil && s.behind:
		return wire.NoFollower
	case s.conn == nil, s.err != nil:
		return wire.AwaitOnly
	}
	return wire.Written
}

// FD returns the descriptor of the connection. The request must be Written.
func (s *Sent) FD() int { return s.conn.bare.FD() }

// sendNow writes the request into the socket's buffer, where it fits.
func (c *conn) sendNow(h *wire.Head, w wire.Watcher, flags byte) error {
	c.out = appendHeader(c.appendRequest(h, flags), typeStdin, c.id, 0)
	sent, err := c.bare.Send(c.out, w)
	if !sent {
		return fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	return err
}

// Receive reads what has arrived, into buf. It returns nil while the answer is not
// whole but about to be, wire.ErrAside for a whole one that Await must look at, and
// wire.ErrNotWhole for one that it must wait for: one that comes in pieces, is too
// large, or is not as it should be. One with others behind it must be alone first
// (Recall). Where it can not be, because the worker has begun the next, all of it is
// here, and one more Receive gets it.
func (s *Sent) Receive(buf []byte) (*wire.Answer, error) {
	c := s.conn
	data := append(buf[:0], c.got...)
	grow := len(data) == cap(data)
	for read := false; ; read = true {
		a, left, err := s.take(data)
		missing := err == errPart || err == errPieces
		switch data = left; {
		case err == nil, err == wire.ErrNotSimple:
			return a, err
		case read && !(missing && c.full && grow && len(data) < mostInSocket):
			return nil, s.keep(data, err == errPart && !c.full && !c.ended)
		case grow:
			data = slices.Grow(data, len(data))
		}
		n, again, _ := c.bare.Read(data[len(data):cap(data)])
		c.full, c.ended = n == cap(data)-len(data), n == 0 && !again
		data = data[:len(data)+n]
	}
}

// mostInSocket is more than a worker can have sent of an answer, and gone on, while nobody
// reads.
const mostInSocket = 1 << 20

// keep keeps what is no whole answer yet. soon: the rest of it is about to come.
func (s *Sent) keep(data []byte, soon bool) error {
	s.conn.got = append(s.conn.got[:0], data...)
	if s.more = !soon; soon { // there is no other word of what can not be waited for
		return nil
	}
	return wire.ErrMustWait
}

// take returns the answer that data begins with, and data without what was passed over.
// What comes behind the answer is kept.
func (s *Sent) take(data []byte) (*wire.Answer, []byte, error) {
	c := s.conn
	c.parser.id = s.id
	data, _ = c.parser.passOver(data)
	after := c.parser
	content, rest, err := after.whole(data)
	if err != nil {
		return nil, data, err
	}
	a, err := parseAnswer(content)
	simple := err == nil && a.Plain(s.head)
	switch {
	case c.line == 1 && !(simple && after.ends(rest)): // or more than there should be
		return nil, data, wire.ErrMustWait
	case !simple:
		s.aside(data[:len(data)-len(rest)])
		a, err = nil, wire.ErrNotSimple
	}
	c.parser, c.got = after, append(c.got[:0], rest...)
	s.more = len(rest) > 0 || c.full
	s.leave(c)
	return a, data, err
}

// leave ends the request's time in the line of c.
func (s *Sent) leave(c *conn) {
	if c.line--; c.line == 0 {
		c.client.rested(c)
	}
}

// Await waits for the answer as RoundTrip does. r is the request that was sent. It is
// sent now where nothing hindered it but the lack of a connection.
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
		err = s.conn.wait()
		s.conn.line = 0
	}
	var resp *http.Response
	if err == nil {
		_ = s.conn.nc.SetDeadline(deadline)
		resp, err = s.conn.receive(r, s.id, deadline)
	}
	if err != nil {
		s.conn.close()
		return nil, connError(err)
	}
	return resp, nil
}

// CloseLine lets no other request be sent behind this one. Where there are some that the
// worker has begun, and still no answer to this one, that does not keep the order: the
// connection stays with the others, and ends with them.
func (s *Sent) CloseLine() {
	switch c := s.conn; {
	case c == nil:
	case c.line > 1:
		c.spoilt = true
		s.aside(c.got)
		s.leave(c)
	default:
		s.client.waited(c)
	}
}

// Close gives up the request, and returns nil when the worker has left it.
func (s *Sent) Close(deadline time.Time) error {
	if s.conn == nil {
		return nil
	}
	s.CloseLine()
	s.conn.close()
	switch {
	case errors.Is(s.err, wire.ErrNotSent):
		return s.err
	case s.conn.once: // the answer was here
		return nil
	}
	return s.client.reopen(deadline)
}

// parseAnswer parses a CGI answer. Anything unusual is left to Await.
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

// headEnd returns where the body begins, -1 if the header does not end.
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
