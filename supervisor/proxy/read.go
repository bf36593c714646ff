package proxy

import (
	"bytes"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

// mostRead is how much is read of a client at once. The rest waits in its socket, not in
// our memory.
const mostRead = 16 << 10

// readable is called when something came, or the client left.
func (c *client) readable(gone bool) {
	c.gone = c.gone || gone
	if c.site != nil || c.loop.paused {
		c.unread = true
		return
	}
	n, err := unix.Read(c.fd, c.loop.in[:mostRead])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case n <= 0:
		c.close()
		return
	}
	data := c.loop.in[:n]
	c.unread = n == mostRead // no event tells of what is left
	if c.unread && len(bytes.Trim(data, "\r\n")) == 0 {
		c.refuse(httphead.BadRequest("nothing but empty lines"), c.begun) // they could go on for ever
		return
	}
	c.come(data)
}

// hasMore tells whether something came that was not looked at.
func (c *client) hasMore() bool { return c.unread || len(c.begun) > c.scanned }

// goOn looks at what came while it could not be.
func (c *client) goOn() {
	if len(c.begun) > c.scanned && c.isIdle() {
		c.come(nil)
	}
	if c.unread && c.isIdle() {
		c.unread = false
		c.readable(false)
	}
}

// isIdle tells that the next request may be read.
func (c *client) isIdle() bool {
	return c.site == nil && !c.loop.paused && c.loop.clients[c.fd] == c
}

// come goes on with a request, or a part of its head, of which data is new. Who closed
// its sending side is watched while it waits: not here.
func (c *client) come(data []byte) {
	scanned, ours := c.scanned, len(c.begun) > 0
	if ours {
		data = append(c.begun, data...)
	}
	c.begun, c.scanned = nil, 0
	for bytes.HasPrefix(data, []byte("\r\n")) { // before a request it means nothing (RFC 9112, section 2.2)
		data, scanned = data[2:], 0
	}
	if !c.gone && c.begin(data) {
		return
	}
	switch end, refused := httphead.Length(data, scanned); {
	case refused != nil:
		c.refuse(refused, data)
	case end > httphead.MaxLength || end == 0 && len(data) > httphead.MaxLength:
		c.refuse(&httphead.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Why: "the head is too large"}, data)
	case end > 0:
		c.begun = bytes.Clone(data[end:])
		c.decide(data[:end])
	case ours:
		c.keep(data, scanned > 0)
	default:
		c.keep(bytes.Clone(data), false)
	}
}

// decide begins a request whose head is whole. What begun holds may be its body.
func (c *client) decide(head []byte) {
	if len(c.begun) > 0 && !c.gone && c.begin(head) {
		return
	}
	end, refused := httphead.Read(string(head))
	if refused != nil {
		c.refuse(refused, head)
		return
	}
	c.giveAway(bytes.Clone(head), end, nil)
}

// keep waits for the rest of a head. Its time begins with its first bytes.
func (c *client) keep(head []byte, begun bool) {
	if len(head) > 0 && !begun {
		c.start, c.patience = time.Now(), c.loop.proxy.timeouts.Header
	}
	c.begun, c.scanned = head, len(head)
	if c.gone || c.unread {
		c.unread = false
		c.readable(false) // to the end, or to what is left
	}
}

// expire ends a connection whose time is over. Who has begun a request is told.
func (c *client) expire() {
	if len(c.begun) == 0 {
		c.close()
		return
	}
	c.refuse(&httphead.Error{Status: http.StatusRequestTimeout, Why: "header_timeout"}, c.begun)
}

// refuse answers a request that begins with head with a page of our own, and ends the
// connection.
func (c *client) refuse(r *httphead.Error, head []byte) {
	l := c.loop
	c.refused(r, head)
	a := &wire.Answer{Status: r.Status, Fields: errorpage.Fields(r.Status), Body: errorpage.Body(r.Status)}
	if r.Status == http.StatusMethodNotAllowed {
		a.Fields = append(a.Fields, [2]string{"Allow", errorpage.AllowedMethods})
	}
	l.out = appendAnswer(l.out[:0], a, false, true, l.date.at(time.Now()))
	_, _ = unix.Write(c.fd, l.out) // who takes not even that gets nothing
	c.part()
}
