package fastloop

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
)

// maxCredit is how much a client that speaks HTTP/2 may send that does not become a request
// or a part of one, and lets nothing be sent. net/http has no such limit: frames without
// contents, of which there may be some for every request, could go on for ever.
const maxCredit = 4 << 20

// credit is what is left of maxCredit.
type credit struct{ left atomic.Int64 }

func newCredit() *credit {
	c := &credit{}
	c.renew()
	return c
}

func (c *credit) renew() { c.left.Store(maxCredit) }

var errFlood = errors.New("the client sends much that is no request")

// spend returns what Read returns that has read n bytes.
func (c *credit) spend(n int, err error) (int, error) {
	if c != nil && err == nil && c.left.Add(-int64(n)) < 0 {
		return 0, errFlood
	}
	return n, err
}

// Progress notes that a request has begun or gone on, on a connection that was given to
// Options.HTTP2.
func Progress(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	switch c := conn.(type) {
	case *records:
		if c.credit != nil {
			c.credit.renew()
		}
	case *prefaced:
		c.credit.renew()
	}
}

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
	l.o.HTTP2(&prefaced{c.detachedSocket(), newCredit(), bytes.Clone(data)})
	return true
}

// prefaced is a connection of which something was read.
type prefaced struct {
	*Socket
	credit *credit
	unread []byte
}

// Read reads what was read before, then the rest.
func (p *prefaced) Read(b []byte) (int, error) {
	if len(p.unread) == 0 {
		n, err := p.Socket.Read(b)
		return p.credit.spend(n, err)
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}

var _ net.Conn = (*prefaced)(nil)
