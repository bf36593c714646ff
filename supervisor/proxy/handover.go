package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
)

// pending is a request that the Loop began and net/http goes on with.
type pending struct {
	site      *site.Site
	start     time.Time
	admission site.Admission
	asked     site.Ticket
	direct    site.Direct // what asked gave, and the request was sent to; nil: not yet
	sent      time.Time   // when
	err       error       // why the site was not to be asked
}

// claim is what Backend.Claim would return, had the request not asked already. It was not
// sent.
func (p *pending) claim(ctx context.Context) (site.Claim, error) {
	if p.err != nil {
		return nil, p.err
	}
	return p.asked.Wait(ctx)
}

// giveUp ends a request that nobody goes on with.
func (p *pending) giveUp() {
	p.admission.End()
	if p.direct != nil {
		p.direct.Fail(context.Canceled)
		return
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if claim, err := p.claim(gone); err == nil { // nothing was sent
		claim.Release()
	}
}

// handed is a client's connection that the Loop has given to net/http for one request.
// net/http gets the bytes of that request and no others. So what was read behind it is
// known when the request is answered, and goes back to the Loop with the connection.
type handed struct {
	*socket
	loop      *Loop
	feed      []byte           // of the request, read already
	end       httphead.BodyEnd // of the request, in what is still to be read
	rest      []byte           // read behind that
	malformed error            // the body is
	answered  bool
	back      atomic.Bool // it goes back when it is closed
	cut       atomic.Bool // the client is to see a reset
	pending   atomic.Pointer[pending]
	reason    string // of the answer whose head is about to be written, see giveReason
}

// newHanded returns a connection for a request whose head was read, with what was read
// of its body and behind that. The socket is to be added.
func newHanded(l *Loop, head []byte, end httphead.BodyEnd, behind []byte) *handed {
	h := &handed{loop: l, feed: head, end: end}
	n := h.take(behind)
	h.feed = append(h.feed, behind[:n]...)
	return h
}

// take splits what was read, and returns how much of it belongs to the request.
func (h *handed) take(data []byte) int {
	n, err := h.end.Take(data)
	if err != nil {
		h.malformed = err
		return n
	}
	h.rest = append(h.rest, data[n:]...)
	return n
}

// Read reads of the request. Behind it net/http only wants to know whether the client
// leaves (n is 0 then), and, when it has answered, whether there is another request:
// that is for the Loop.
func (h *handed) Read(b []byte) (n int, err error) {
	switch {
	case h.answered:
		h.back.Store(h.end.Found() && len(h.feed) == 0)
		return 0, io.EOF // net/http closes the connection now, it believes
	case len(h.feed) > 0:
		n = copy(b, h.feed)
		if h.feed = h.feed[n:]; len(h.feed) == 0 {
			h.feed = nil // the request may last
		}
		return n, nil
	case h.malformed != nil:
		return 0, h.malformed
	}
	if !h.end.Found() {
		h.waits(bodyPatience)
		defer h.waited()
	}
	n, err = h.socket.Read(b)
	if n = h.take(b[:n]); h.malformed != nil {
		err = h.malformed
	}
	return n, err
}

// SetLinger is for who resets the connection.
func (h *handed) SetLinger(seconds int) error {
	h.cut.Store(true)
	return h.socket.SetLinger(seconds)
}

// Close gives the connection back to the Loop, which goes on with it, or ends it gently.
func (h *handed) Close() error {
	if p := h.pending.Swap(nil); p != nil {
		p.giveUp()
	}
	switch {
	case h.back.Swap(false):
		return h.loop.takeBack(h.socket, h.rest)
	case h.cut.Load():
		return h.socket.Close()
	}
	return h.loop.letPart(h.socket)
}

type handedKey struct{}

// withHanded lets a handler find its connection.
func withHanded(ctx context.Context, conn net.Conn) context.Context {
	if h, ok := conn.(*handed); ok {
		return context.WithValue(ctx, handedKey{}, h)
	}
	return ctx
}

// pendingOf returns what the Loop has begun of a request, once.
func pendingOf(r *http.Request) *pending {
	if h, ok := r.Context().Value(handedKey{}).(*handed); ok {
		return h.pending.Swap(nil)
	}
	return nil
}

// isMalformed tells that the body of a request does not come as its head has said.
func isMalformed(r *http.Request) bool {
	h, ok := r.Context().Value(handedKey{}).(*handed)
	return ok && h.malformed != nil
}

// listener gives net/http the connections that the Loop hands over.
type listener struct {
	addr net.Addr

	mu sync.Mutex
	// mu protects all below
	conns  []net.Conn
	closed bool
	come   sync.Cond
}

func newListener() *listener {
	l := &listener{addr: &net.TCPAddr{}}
	l.come.L = &l.mu
	return l
}

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

// Close ends Accept. Whoever put what it has not returned closes that.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.conns = true, nil
	l.come.Broadcast()
	return nil
}
