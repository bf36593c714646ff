package fastloop

import (
	"bytes"
	"net"
	"strings"
)

// preface is what a client sends first that speaks HTTP/2 without having negotiated it.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// beginsHTTP2 gives a connection to net/http if data is the preface of HTTP/2. Only trusted
// clients may speak it without TLS. It reports whether data was one, or the beginning of one.
func (c *client) beginsHTTP2(data []byte) bool {
	l := c.loop
	if !c.trusted || c.secure != nil || l.o.HTTP2 == nil || l.endingTLS || len(data) == 0 || data[0] != 'P' {
		return false
	}
	if !bytes.HasPrefix(data, []byte(preface)) {
		if !strings.HasPrefix(preface, string(data)) {
			return false
		}
		c.keep(bytes.Clone(data), len(data) > 1)
		return true
	}
	l.gaveWork = true
	l.o.HTTP2(&prefaced{c.detachedSocket(), bytes.Clone(data)})
	return true
}

// prefaced is a connection of which something was read.
type prefaced struct {
	*Socket
	unread []byte
}

// Read reads what was read before, then the rest.
func (p *prefaced) Read(b []byte) (int, error) {
	if len(p.unread) == 0 {
		return p.Socket.Read(b)
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}

var _ net.Conn = (*prefaced)(nil)
