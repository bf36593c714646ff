package fastloop

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// takeBody takes the body from what was read after the head. It goes on when all of it is
// here.
func (c *client) takeBody(rest []byte) {
	n := max(int(c.request.Length), 0)
	if n == 0 {
		c.buffered = bytes.Clone(rest)
		c.enqueue()
		return
	}
	// There is room for one more byte, which shows that there is more to read.
	c.request.Body = append(make([]byte, 0, n+1), rest[:min(n, len(rest))]...)
	if len(rest) >= n {
		c.buffered = bytes.Clone(rest[n:])
		c.enqueue()
		return
	}
	c.detachAt = c.start.Add(bodyPatience)
	if c.unread { // no event reports what is left
		c.unread = false
		c.readBody()
	}
}

// lacksBody reports whether a part of the body is still to come.
func (c *client) lacksBody() bool { return len(c.request.Body) < int(c.request.Length) }

// readBody reads what has arrived of the body.
func (c *client) readBody() {
	b := c.request.Body
	n, err := unix.Read(c.fd, b[len(b):cap(b)])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case n <= 0:
		c.gone = true
		c.detach()
		return
	}
	b = b[:len(b)+n]
	if length := int(c.request.Length); len(b) > length {
		c.buffered, c.unread = []byte{b[length]}, true
		b = b[:length]
	}
	c.request.Body = b
	switch {
	case c.gone:
		c.detach() // net/http reads to the end, and notices when the client closes the other side, too
	case !c.lacksBody():
		c.enqueue()
	}
}
