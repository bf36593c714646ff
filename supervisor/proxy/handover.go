package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pending is a request that the Loop began and net/http goes on with.
type pending struct {
	site   *Site
	start  time.Time
	asked  Asked
	direct Direct    // what asked gave, and the request was sent to; nil: not yet
	sent   time.Time // when
	err    error     // why the site was not to be asked
}

// claim is what Backend.Claim would return, were the request not begun already.
func (p *pending) claim(ctx context.Context) (Claim, error) {
	switch {
	case p.err != nil:
		return nil, p.err
	case p.direct != nil:
		return p.direct, nil
	}
	return p.asked.Wait(ctx)
}

// giveUp ends a request that nobody goes on with.
func (p *pending) giveUp() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if claim, err := p.claim(gone); err == nil {
		claim.Broken()
	}
}

// handed is a client's connection that the Loop has given to net/http. It comes
// back to the Loop as soon as net/http has answered all that it has read of it.
type handed struct {
	*socket
	loop    *Loop
	prefix  []byte // read already
	idle    bool
	ahead   bool // something of the next request was read
	back    atomic.Bool
	pending atomic.Pointer[pending]

	mu sync.Mutex
	// mu protects all below
	read int64  // how much net/http has read
	end  int64  // where the last request that began ends in that
	seen []byte // what was read behind end
	lost bool   // end is not known any more
}

func (h *handed) Read(b []byte) (int, error) {
	if len(h.prefix) > 0 {
		n := copy(b, h.prefix)
		h.prefix = h.prefix[n:]
		h.count(b[:n], nil)
		return n, nil
	}
	if h.idle && h.returns() {
		h.back.Store(true)
		return 0, io.EOF // net/http closes the connection now, it believes
	}
	n, err := h.wait(b)
	h.count(b[:n], b[:n])
	return n, err
}

// wait reads from the client. While the server is paused a connection comes back
// instead of which nobody knows where its last request ended, if nothing of the
// next one was read.
func (h *handed) wait(b []byte) (n int, err error) {
	if !h.idle {
		n, err = h.socket.Read(b)
		h.ahead = h.ahead || n == 1 && len(b) == 1 // net/http listens for the end of the client, byte by byte
		return n, err
	}
	for {
		if h.loop.handed.isPaused() && !h.ahead {
			h.back.Store(true)
			return 0, io.EOF
		}
		n, err = h.socket.Read(b)
		if n > 0 && !h.ahead { // a head has begun
			h.ahead = true
			h.setHeaderDeadline()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !h.loop.handed.isPaused() {
			return n, err
		}
		if h.ahead { // the pause's deadline is not its own
			h.setHeaderDeadline()
		}
	}
}

func (h *handed) setHeaderDeadline() {
	_ = h.socket.SetReadDeadline(time.Now().Add(h.loop.proxy.timeouts.Header)) // a socket has deadlines
}

// count notes what was read, and the part of it that is not in seen from the start.
func (h *handed) count(read, unseen []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body := max(0, min(int64(len(unseen)), h.end-h.read)) // of the request that began
	h.read += int64(len(read))
	if h.seen = append(h.seen, unseen[body:]...); len(h.seen) > 2*maxHeader {
		h.seen, h.lost = nil, true
	}
}

// returns tells whether all that was read has been answered, once it is idle.
func (h *handed) returns() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.lost && h.read == h.end
}

// begin notes where a request ends, and returns what the Loop has begun of it.
func (h *handed) begin(r *http.Request) *pending {
	h.mu.Lock()
	defer h.mu.Unlock()
	head := headSize(h.seen)
	if head < 0 || r.ContentLength < 0 {
		h.lost = true
		return h.pending.Swap(nil)
	}
	size := int64(head) + r.ContentLength
	h.end += size
	h.seen = h.seen[min(size, int64(len(h.seen))):]
	return h.pending.Swap(nil)
}

// headSize returns the length of the head that data begins with, -1 when it is not
// all there or has lines that end in another way.
func headSize(data []byte) int {
	i := bytes.Index(data, []byte("\r\n\r\n"))
	if i < 0 || bytes.Count(data[:i], []byte("\n")) != bytes.Count(data[:i], []byte("\r\n")) {
		return -1
	}
	return i + 4
}

// Close closes the connection, or gives it back.
func (h *handed) Close() error {
	if p := h.pending.Swap(nil); p != nil {
		p.giveUp()
	}
	if h.back.Swap(false) {
		return h.loop.takeBack(h.socket)
	}
	return h.socket.Close()
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
		return h.begin(r)
	}
	return nil
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
