package fastloop

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// maxRead is how much is read of a client at once. The rest waits in its socket, not in
// this process's memory.
const maxRead = 16 << 10

// readable is called when something has arrived, or the client has left.
func (c *client) readable(gone bool) {
	c.gone = c.gone || gone
	switch {
	case c.hello:
		c.greet()
		return
	case c.lacksBody(): // also while paused: the request has begun
		c.readBody()
		return
	case c.site != nil || c.loop.paused || len(c.buffered) > c.scanned: // what is buffered comes first
		c.unread = true
		return
	}
	n, more, err := c.read(c.loop.head)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case n <= 0:
		c.close()
		return
	}
	data := c.loop.head[:n]
	c.unread = more
	if n == maxRead && len(bytes.Trim(data, "\r\n")) == 0 {
		c.refuse(httphead.BadRequest("nothing but empty lines"), c.buffered) // they could go on for ever
		return
	}
	c.received(data)
}

// hasMore reports whether bytes have arrived that were not looked at.
func (c *client) hasMore() bool { return c.unread || len(c.buffered) > c.scanned }

// goOn looks at what has arrived while the loop could not.
func (c *client) goOn() {
	switch {
	case c.lacksBody(): // also while paused
		if c.unread {
			c.unread = false
			c.readBody()
		}
	case !c.mayRead() || c.endIfTLS():
	case len(c.buffered) > c.scanned:
		c.received(nil)
	case c.unread:
		c.unread = false
		c.readable(false)
	}
}

// readMore looks at what has arrived of clients that were answered.
func (l *Loop) readMore() {
	more := l.more
	l.more = nil
	for _, c := range more {
		c.goOn()
	}
}

// mayRead reports whether the next request may be read.
func (c *client) mayRead() bool {
	return c.site == nil && !c.loop.paused && c.loop.clients[c.fd] == c
}

// received goes on with a head of which data is new. A client that has closed its sending
// side is left to net/http, which notices when it closes the other side, too.
func (c *client) received(data []byte) {
	scanned, ours := c.scanned, len(c.buffered) > 0
	if ours {
		data = append(c.buffered, data...)
	}
	c.buffered, c.scanned = nil, 0
	if c.beginsHTTP2(data) {
		return
	}
	for bytes.HasPrefix(data, []byte("\r\n")) { // is ignored before a request (RFC 9112, section 2.2)
		data, scanned = data[2:], 0
	}
	if end := headEnd(data, scanned); end > 0 && !c.gone && c.begin(data[:end], data[end:]) {
		return
	}
	switch end, refused := httphead.Length(data, scanned); {
	case refused != nil:
		c.refuse(refused, data)
	case end > httphead.MaxLength || end == 0 && len(data) > httphead.MaxLength:
		c.refuse(&httphead.Error{Status: http.StatusRequestHeaderFieldsTooLarge, Why: "the head is too large"}, data)
	case end > 0:
		c.buffered = bytes.Clone(data[end:])
		c.detachUnread(data[:end])
	case ours:
		c.keep(data, scanned > 0)
	default:
		c.keep(bytes.Clone(data), false)
	}
}

// headEnd returns the length of the head that data may begin with, 0 if it is not complete.
// No head ends in the first scanned bytes.
func headEnd(data []byte, scanned int) int {
	const end = "\r\n\r\n"
	from := max(scanned-len(end), 0)
	i := bytes.Index(data[from:], []byte(end))
	if i < 0 {
		return 0
	}
	return from + i + len(end)
}

// detachUnread detaches a request whose head is complete. What is buffered may be its body.
func (c *client) detachUnread(head []byte) {
	end, refused := httphead.Read(string(head))
	if refused != nil {
		c.refuse(refused, head)
		return
	}
	c.detachRequest(bytes.Clone(head), end, nil)
}

// keep waits for the rest of a head. The time for it starts with the first bytes.
func (c *client) keep(head []byte, begun bool) {
	if len(head) > 0 && !begun {
		c.start, c.patience = time.Now(), c.loop.o.Timeouts.Header
	}
	c.buffered, c.scanned = head, len(head)
	if c.gone || c.unread { // no event reports the end, or what is left
		c.unread = true
		c.loop.more = append(c.loop.more, c) // others get their turn before
	}
}

// expire ends a connection whose time is up, with an answer if a request has begun.
func (c *client) expire() {
	if len(c.buffered) == 0 {
		c.close()
		return
	}
	c.refuse(&httphead.Error{Status: http.StatusRequestTimeout, Why: "header_timeout"}, c.buffered)
}

// refuse answers a request that begins with head with an error page, and ends the
// connection.
func (c *client) refuse(r *httphead.Error, head []byte) {
	l := c.loop
	id := httphead.NewID()
	c.logRefusal(r, head, id)
	a := &wire.Answer{Status: r.Status, Fields: errorpage.Fields(r.Status), Body: errorpage.Body(r.Status)}
	if r.Status == http.StatusMethodNotAllowed {
		a.Fields = append(a.Fields, [2]string{"Allow", errorpage.AllowedMethods})
	}
	l.out = appendAnswer(l.out[:0], a, id, false, true, l.date.at(time.Now()))
	_, _ = c.write(l.out) // a client that does not take even this gets nothing
	c.linger()
}

// maxLine is how much is logged of what is not a request.
const maxLine = 512

// logRefusal reports a request of which only its beginning was read.
func (c *client) logRefusal(r *httphead.Error, head []byte, id string) {
	if c.loop.o.Refused == nil {
		return
	}
	line, _, _ := strings.Cut(string(head[:min(len(head), maxLine)]), "\r\n")
	c.loop.o.Refused(site.Refusal{Entry: site.Entry{Client: c.addr, Line: line, ID: id, Time: time.Now(), Status: r.Status}, Why: r.Why})
}
