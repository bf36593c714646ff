package fastcgi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/sys/unix"
)

// Watcher tells its owner when there is something to read on a descriptor.
type Watcher interface {
	Watch(fd int) error
	Unwatch(fd int)
}

// ErrNotWhole says that an answer is not one that Receive can take: Await does.
var ErrNotWhole = errors.New("the answer does not come as a whole")

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

// Answer is a whole answer. Its Body is valid until the buffer that it was read
// into is used again.
type Answer struct {
	Status int
	Fields [][2]string // the header, names in canonical form
	Body   []byte
}

// Send sends a request on an idle connection, which w watches from then on. It
// does not wait. What hinders it is for Await to say, or to mend.
func (c *Client) Send(h *Head, w Watcher) *Sent {
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
	return s.conn.fd
}

// sendNow writes the request into the socket's buffer, where it fits.
func (c *conn) sendNow(h *Head, w Watcher) error {
	if c.watcher == nil {
		if err := w.Watch(c.fd); err != nil {
			return fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		c.watcher = w
	}
	c.out = appendHeader(c.appendRequest(h), typeStdin, c.id, 0)
	n, err := unix.Write(c.fd, c.out)
	switch {
	case n == len(c.out):
		return nil
	case n <= 0:
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return errors.New("the request does not fit the socket's buffer")
}

// Receive reads what has arrived, into buf. It returns nil while the answer is not
// whole but about to be, and ErrNotWhole for one that Await must take: one that
// comes in pieces, is too large, or is not as it should be.
func (s *Sent) Receive(buf []byte) (*Answer, error) {
	have := copy(buf, s.got)
	n, err := unix.Read(s.conn.fd, buf[have:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, nil
	case n <= 0: // Await reads the same
		return nil, ErrNotWhole
	}
	have += n
	a, err := parseWhole(buf[:have], s.conn.id)
	if a != nil && !a.consistent(s.head) {
		a, err = nil, ErrNotWhole
	}
	if a != nil {
		s.conn.client.put(s.conn)
		return a, nil
	}
	s.got = bytes.Clone(buf[:have])
	if have == len(buf) {
		err = ErrNotWhole
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

// Close gives up the request.
func (s *Sent) Close() {
	if s.conn != nil {
		s.conn.close()
	}
}

// parseWhole reads the records of an answer. nil without an error: data ends
// within a record, so the rest is on its way.
func parseWhole(data []byte, id byte) (*Answer, error) {
	var content []byte
	for rest := data; len(rest) > 0; {
		if len(rest) < headerSize {
			return nil, nil
		}
		rec, err := parseRecord(rest, id)
		total := headerSize + rec.content + rec.padding
		switch {
		case err != nil:
			return nil, ErrNotWhole
		case len(rest) < total:
			return nil, nil
		case rec.typ == typeEndRequest && rec.content == endSize && rest[headerSize+4] == 0 && len(rest) == total:
			return parseAnswer(content)
		case rec.typ != typeStdout:
			return nil, ErrNotWhole
		case content == nil:
			content = rest[headerSize : headerSize+rec.content : headerSize+rec.content]
		default: // a copy: what stands between the contents may still be needed
			content = append(content, rest[headerSize:headerSize+rec.content]...)
		}
		rest = rest[total:]
	}
	return nil, ErrNotWhole
}

// parseAnswer parses a CGI answer. Anything unusual is left to Await.
func parseAnswer(content []byte) (*Answer, error) {
	end := headEnd(content)
	if end < 0 {
		return nil, ErrNotWhole
	}
	head := string(content[:end])
	a := &Answer{Body: content[end:], Fields: make([][2]string, 0, 16)}
	moved := false
	status, err := eachField(head, func(name, value string) {
		moved = moved || name == "Location"
		a.Fields = append(a.Fields, [2]string{name, value})
	})
	if err == nil {
		a.Status, _, err = statusOf(status, moved)
	}
	if err != nil {
		return nil, ErrNotWhole
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

// consistent tells whether an answer can go to a client as it is: nothing in it
// concerns the connection, and its length is what it says.
func (a *Answer) consistent(head bool) bool {
	length := -1
	for _, f := range a.Fields {
		switch f[0] {
		case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
			"Te", "Trailer", "Transfer-Encoding", "Upgrade":
			return false
		case "Content-Length":
			n, err := strconv.ParseUint(f[1], 10, 31)
			if err != nil || length >= 0 {
				return false
			}
			length = int(n)
		}
	}
	if head || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		return len(a.Body) == 0
	}
	return length < 0 || length == len(a.Body)
}
