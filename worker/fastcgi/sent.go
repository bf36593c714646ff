package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// Sent is a request without a body that was sent, and whose answer is taken
// without waiting for it: by Receive, as often as the watcher tells, or at last
// by Await. It is used by one goroutine at a time.
type Sent struct {
	client *Client
	conn   *conn  // nil: there was none to send it on
	err    error  // why it did not go out
	head   bool   // a HEAD request
	got    []byte // of the answer, while it is not whole
}

// Send sends a request on an idle connection, which w watches from then on. It
// does not wait. What hinders it is for Await to say, or to mend.
func (c *Client) Send(h *wire.Head, w wire.Watcher) *Sent {
	s := &Sent{client: c, head: h.Method == http.MethodHead}
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		s.conn = c.idle[n-1]
		c.idle = c.idle[:n-1]
	}
	c.mu.Unlock()
	if s.conn != nil {
		s.err = s.conn.sendNow(h, w)
	}
	return s
}

// FD is what the watcher tells of; -1: nothing was sent.
func (s *Sent) FD() int {
	if s.conn == nil || s.err != nil {
		return -1
	}
	return s.conn.bare.FD()
}

// sendNow writes the request into the socket's buffer, where it fits.
func (c *conn) sendNow(h *wire.Head, w wire.Watcher) error {
	c.out = appendHeader(c.appendRequest(h), typeStdin, c.id, 0)
	sent, err := c.bare.Send(c.out, w)
	if !sent {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return err
}

// Receive reads what has arrived, into buf. It returns nil while the answer is not
// whole but about to be, and wire.ErrNotWhole for one that Await must take: one that
// comes in pieces, is too large, or is not as it should be.
func (s *Sent) Receive(buf []byte) (*wire.Answer, error) {
	have := copy(buf, s.got)
	n, again, _ := s.conn.bare.Read(buf[have:])
	switch {
	case again:
		return nil, nil
	case n == 0: // Await meets the same
		return nil, wire.ErrNotWhole
	}
	have += n
	a, err := parseWhole(buf[:have], s.conn.id)
	if a != nil && !a.Plain(s.head) {
		a, err = nil, wire.ErrNotWhole
	}
	if a != nil {
		s.conn.client.put(s.conn)
		return a, nil
	}
	s.got = bytes.Clone(buf[:have])
	if have == len(buf) {
		err = wire.ErrNotWhole
	}
	return nil, err
}

// Await waits for the answer as RoundTrip does. r is the request that was sent.
func (s *Sent) Await(r *http.Request) (*http.Response, error) {
	if s.conn == nil {
		return s.client.RoundTrip(r)
	}
	deadline, _ := r.Context().Deadline()
	err := s.err
	if err == nil {
		err = s.conn.wait(s.got)
	}
	var resp *http.Response
	if err == nil {
		_ = s.conn.nc.SetDeadline(deadline)
		resp, err = s.conn.receive(r, deadline)
	}
	if err != nil {
		s.conn.close()
		return nil, connError(err)
	}
	return resp, nil
}

// Close gives up the request, and returns nil when the worker has left it.
func (s *Sent) Close(deadline time.Time) error {
	if s.conn == nil {
		return nil
	}
	s.conn.close()
	if errors.Is(s.err, ErrNotSent) {
		return s.err
	}
	return s.client.reopen(deadline)
}

// parseWhole reads the records of an answer. nil without an error: data ends
// within a record, so the rest is on its way.
func parseWhole(data []byte, id byte) (*wire.Answer, error) {
	var content []byte
	for rest := data; len(rest) > 0; {
		if len(rest) < headerSize {
			return nil, nil
		}
		rec, err := parseRecord(rest, id)
		total := headerSize + rec.content + rec.padding
		switch {
		case err != nil:
			return nil, wire.ErrNotWhole
		case len(rest) < total:
			return nil, nil
		case rec.typ == typeEndRequest && rec.content == endSize && rest[headerSize+4] == 0 && len(rest) == total:
			return parseAnswer(content)
		case rec.typ != typeStdout:
			return nil, wire.ErrNotWhole
		case content == nil:
			content = rest[headerSize : headerSize+rec.content : headerSize+rec.content]
		default: // a copy: what stands between the contents may still be needed
			content = append(content, rest[headerSize:headerSize+rec.content]...)
		}
		rest = rest[total:]
	}
	return nil, wire.ErrNotWhole
}

// parseAnswer parses a CGI answer. Anything unusual is left to Await.
func parseAnswer(content []byte) (*wire.Answer, error) {
	end := headEnd(content)
	if end < 0 {
		return nil, wire.ErrNotWhole
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
		a.Status, _, err = statusOf(status, len(location) > 0 && location[0] != "")
	}
	if err != nil {
		return nil, wire.ErrNotWhole
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
