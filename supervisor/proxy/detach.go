package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
)

// detachedConn is a client's connection that the loop has given to net/http for one
// request. net/http gets the bytes of that request and no others. So what was read after
// it is known when the request is answered, and goes back to the loop with the
// connection. Only net/http's goroutine for the connection uses what is not atomic.
type detachedConn struct {
	*fastloop.Socket
	loop      *fastloop.Loop
	unread    []byte           // of the request: was read by the loop, but not yet by net/http
	end       httphead.BodyEnd // of the request, in what is still to be read of the socket
	next      []byte           // what was read after the request
	malformed error            // why the body is; nil: it is not
	answered  bool             // net/http has answered, and reads for another request
	reason    string           // for the status line that is about to be written; see setReason

	reattach atomic.Bool // Close gives the connection back
	reset    atomic.Bool // Close resets the connection
	pending  atomic.Pointer[fastloop.Pending]
}

// newDetachedConn returns a connection for net/http.
func newDetachedConn(l *fastloop.Loop, d *fastloop.Detached) *detachedConn {
	c := &detachedConn{Socket: d.Socket, loop: l, unread: d.Head, end: d.End}
	n := c.split(d.Buffered)
	c.unread = append(c.unread, d.Buffered[:n]...)
	if d.Pending != nil {
		c.pending.Store(d.Pending)
	}
	return c
}

// split keeps what was read after the request, and returns how many bytes of data belong
// to the request.
func (c *detachedConn) split(data []byte) int {
	n, err := c.end.Take(data)
	if err != nil {
		c.malformed = err
		return n
	}
	c.next = append(c.next, data[n:]...)
	return n
}

// Read reads the rest of the request. After its end net/http only wants to know whether
// the client disconnects (n is 0 then), and, when it has answered, whether there is another
// request. The loop finds that out, so Read returns io.EOF and net/http closes the connection.
func (c *detachedConn) Read(b []byte) (n int, err error) {
	switch {
	case c.answered:
		c.reattach.Store(c.end.Found() && len(c.unread) == 0)
		return 0, io.EOF
	case len(c.unread) > 0:
		n = copy(b, c.unread)
		if c.unread = c.unread[n:]; len(c.unread) == 0 {
			c.unread = nil // frees the memory: the request may last
		}
		return n, nil
	case c.malformed != nil:
		return 0, c.malformed
	}
	read := c.Socket.Read
	if !c.end.Found() {
		read = c.Socket.ReadBody
	}
	n, err = read(b)
	if n = c.split(b[:n]); c.malformed != nil {
		err = c.malformed
	}
	return n, err
}

// Write writes to the client. What net/http writes first, after setReason, begins with
// the status line of its answer: nothing of the answer before is left in its buffer, and
// its handler is the only one that writes.
func (c *detachedConn) Write(b []byte) (int, error) {
	if c.reason == "" {
		return c.Socket.Write(b)
	}
	reason := c.reason
	c.reason = ""
	const text = len("HTTP/1.1 200 ")
	end := bytes.IndexByte(b, '\r')
	if end < text || !bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return c.Socket.Write(b)
	}
	changed := append(append(b[:text:text], reason...), b[end:]...)
	n, err := c.Socket.Write(changed)
	if err == nil {
		n = len(b)
	}
	return min(n, len(b)), err
}

// SetLinger is called before Close to reset the connection.
func (c *detachedConn) SetLinger(seconds int) error {
	c.reset.Store(true)
	return c.Socket.SetLinger(seconds)
}

// Close gives the connection back to the loop, which reads its next request or lingers.
func (c *detachedConn) Close() error {
	if p := c.pending.Swap(nil); p != nil {
		p.GiveUp()
	}
	switch {
	case c.reattach.Swap(false):
		return c.loop.Reattach(c.Socket, c.next)
	case c.reset.Load():
		return c.Socket.Close()
	}
	return c.loop.Linger(c.Socket)
}

type detachedKey struct{}

// withDetached lets a handler find its connection.
func withDetached(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*detachedConn); ok {
		return context.WithValue(ctx, detachedKey{}, c)
	}
	return ctx
}

// detachedOf returns the connection of a request, or nil if net/http has accepted it.
func detachedOf(r *http.Request) *detachedConn {
	c, _ := r.Context().Value(detachedKey{}).(*detachedConn)
	return c
}

// pendingOf returns what the loop has begun of a request, once; nil: nothing.
func pendingOf(r *http.Request) *fastloop.Pending {
	if c := detachedOf(r); c != nil {
		return c.pending.Swap(nil)
	}
	return nil
}

// isMalformed reports whether the body of a request is malformed.
func isMalformed(r *http.Request) bool {
	c := detachedOf(r)
	return c != nil && c.malformed != nil
}

// listener gives net/http the connections that the loop has detached.
type listener struct {
	addr net.Addr

	mu sync.Mutex
	// mu protects all below
	conns  []net.Conn // not accepted yet
	closed bool
	come   sync.Cond // is signaled for each of conns
}

func newListener() *listener {
	l := &listener{addr: &net.TCPAddr{}}
	l.come.L = &l.mu
	return l
}

// Addr returns an address that means nothing.
func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) put(conn net.Conn) {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.conns = append(l.conns, conn)
		l.come.Signal()
	}
	l.mu.Unlock()
	if closed {
		conn.Close()
	}
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.conns) == 0 && !l.closed {
		l.come.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	conn := l.conns[0]
	l.conns = l.conns[1:]
	return conn, nil
}

// Close ends Accept. Connections that it has not returned are closed by Server.Close, or
// closeRest.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.come.Broadcast()
	return nil
}

// closeRest closes the connections that Accept has not returned.
func (l *listener) closeRest() {
	l.mu.Lock()
	rest := l.conns
	l.conns = nil
	l.mu.Unlock()
	for _, conn := range rest {
		conn.Close()
	}
}
