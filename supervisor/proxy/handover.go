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
	place  place
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
	p.place.leave()
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
	loop     *Loop
	prefix   []byte    // read already
	whole    int       // the size of net/http's buffer
	heading  bool      // net/http waits for the head of a request
	timed    bool      // it has set the time for that
	ahead    bool      // something of that head was read, whether or not end is known
	deadline time.Time // for reading
	back     atomic.Bool
	pending  atomic.Pointer[pending]
	reason   string // of the answer whose head is about to be written, see giveReason

	mu sync.Mutex
	// mu protects all below
	read int64  // how much net/http has read
	end  int64  // where the last request that began ends in that
	seen []byte // what was read behind end
	lost bool   // end is not known any more
}

// turn is called when net/http goes on to another state. True: the connection is
// about to come back.
func (h *handed) turn(state http.ConnState) bool {
	switch state {
	case http.StateActive:
		h.heading = false
	case http.StateIdle:
		h.heading, h.timed, h.ahead = true, false, false
		return h.returns()
	}
	return false
}

// SetReadDeadline is net/http's, which waits for the first bytes of a request first,
// and gives it another time when they are here.
func (h *handed) SetReadDeadline(t time.Time) error {
	if h.heading {
		h.ahead = h.ahead || h.timed
		h.timed = true
	}
	h.deadline = t
	return h.restoreDeadline()
}

// restoreDeadline undoes what a pause has done to it.
func (h *handed) restoreDeadline() error { return h.socket.SetReadDeadline(h.deadline) }

func (h *handed) Read(b []byte) (int, error) {
	if h.whole == 0 {
		h.whole = len(b) // for there is nothing in it yet
	}
	if len(h.prefix) > 0 {
		n := copy(b, h.prefix)
		h.prefix = h.prefix[n:]
		h.count(b[:n], nil)
		return n, nil
	}
	if h.heading && !h.begun(b) {
		h.back.Store(true)
		return 0, io.EOF // net/http closes the connection now, it believes
	}
	n, err := h.wait(b)
	h.count(b[:n], b[:n])
	return n, err
}

// begun tells whether something was read of the request that net/http waits for, or
// may have been: b is what is free of its buffer.
func (h *handed) begun(b []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		return h.ahead || len(b) < h.whole
	}
	return h.read > h.end
}

// wait reads from the client, but no head of a request while the server is paused.
func (h *handed) wait(b []byte) (n int, err error) {
	if !h.heading {
		return h.socket.Read(b)
	}
	if !h.ahead { // for net/http it is idle until four bytes are here
		h.ahead = true
		h.deadline = time.Now().Add(h.loop.proxy.timeouts.Header)
		_ = h.restoreDeadline() // a socket has deadlines
	}
	for {
		h.loop.handed.rest(h)
		n, err = h.socket.Read(b)
		late := !h.deadline.IsZero() && !time.Now().Before(h.deadline)
		if late || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		_ = h.restoreDeadline() // a socket has deadlines
	}
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

// begunWith returns what was read of the next request; nil: it is not known.
func (h *handed) begunWith() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost {
		return nil
	}
	return bytes.Clone(h.seen)
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
