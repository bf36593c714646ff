package fastloop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/worker/wire"
)

// youngHandshake is how long the end of all TLS connections waits for handshakes.
const youngHandshake = 200 * time.Millisecond

// handshake is a TLS handshake that runs in a goroutine.
type handshake struct {
	loop   *Loop
	addr   string // for handshakes
	socket *Socket
	began  time.Time
	end    time.Time // it is cut then
}

// ListenTLS is Listen for clients that speak TLS.
func (l *Loop) ListenTLS(tcp *net.TCPListener) error { return l.listen(tcp, true) }

// greet begins the handshake of a client that has sent something, or lets it wait.
func (c *client) greet() {
	l := c.loop
	switch {
	case c.gone:
		c.close()
		return
	case l.paused || l.endingTLS:
		c.unread = true
		return
	case c.place != nil:
		return
	}
	cut, ok := l.handshakes.hasPlace(networkOf(c.addr))
	if !ok {
		l.handshakes.wait(c)
		return
	}
	if cut != nil {
		l.handshakes.leave(cut)
		cut.socket.Close()
	}
	c.shake()
}

// shake begins the handshake.
func (c *client) shake() {
	l := c.loop
	h := &handshake{loop: l, addr: networkOf(c.addr), began: time.Now(), end: c.start.Add(c.patience)}
	h.socket = c.detachedSocket()
	l.handshakes.enter(h)
	l.gaveWork = true
	go h.run()
}

// shakeWaiting begins the handshakes for which there is a place, unless the next process is
// to begin them.
func (l *Loop) shakeWaiting() {
	for !l.paused && !l.endingTLS {
		next := l.handshakes.next()
		if next == nil {
			return
		}
		next.shake()
	}
}

// run makes the handshake.
func (h *handshake) run() {
	r := &records{socket: h.socket, turn: h.loop.handshakes.computing}
	conn := tls.Server(r, h.loop.o.TLS)
	_ = h.socket.SetDeadline(h.end) // cannot fail, unless the handshake is cut already
	r.turn.take()
	err := conn.Handshake()
	r.turn.give()
	r.turn = nil
	_ = h.socket.SetDeadline(time.Time{})
	if !h.loop.post(func() { h.over(conn, r, err) }) {
		h.socket.Close()
	}
}

// over goes on with the client after its handshake.
func (h *handshake) over(conn *tls.Conn, r *records, err error) {
	l := h.loop
	l.handshakes.leave(h)
	l.shakeWaiting()
	if err != nil {
		h.failed(err)
		return
	}
	s := newSecure(conn, r, l.o.Store)
	if s.state.NegotiatedProtocol == "h2" && l.o.HTTP2 != nil && !l.endingTLS && !l.paused && !l.isClosing() {
		l.gaveWork, r.credit = true, newCredit()
		l.o.HTTP2(conn)
		return
	}
	seat := h.socket.seat.Swap(nil)
	fd, err := h.socket.takeFD()
	if err != nil {
		seat.leave()
		return
	}
	fd = l.lower(fd)
	c := l.add(fd, string(h.socket.peer), s, l.o.Timeouts.Header)
	if l.sit(fd, seat); c != nil {
		c.unread = true // crypto/tls may have read it already
		c.goOn()
	}
}

// failed ends a connection without a handshake. The client gets what crypto/tls has said to
// it, and a client that speaks HTTP an answer.
func (h *handshake) failed(err error) {
	l := h.loop
	l.o.Log.Debug("no TLS handshake", "client", h.socket.peer, "error", err)
	if err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		h.socket.Close()
		return
	}
	if spoke := (tls.RecordHeaderError{}); errors.As(err, &spoke) && spoke.Conn != nil && isHTTP(spoke.RecordHeader) {
		const status = http.StatusBadRequest
		a := &wire.Answer{Status: status, Fields: errorpage.Fields(status), Body: errorpage.Body(status)}
		l.out = appendAnswer(l.out[:0], a, "", false, true, l.date.at(time.Now()))
		_, _ = h.socket.writePlain(l.out) // nothing was written before: there is room
	}
	_ = l.Linger(h.socket) // on an error it is closed
}

// isHTTP reports whether a record that is none begins like a request.
func isHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		return true
	}
	return false
}

// EndTLS lets the connections end whose clients speak TLS, since another process cannot go
// on with them: those without a request now, the others after their answer. Clients that
// connect wait until ResumeTLS, or for the next process. It returns when those without a
// request have closed their side, and when handshakes had some time. began is called when
// the last connection was given to HTTP2.
func (l *Loop) EndTLS(began func()) {
	ended := make(chan struct{})
	if l.post(func() {
		l.endingTLS = true
		began()
		for fd, on := range l.accepting {
			if on && l.secured[fd] {
				l.hold(fd)
			}
		}
		for _, c := range l.clients {
			c.endIfTLS()
		}
		l.endWaiters = append(l.endWaiters, ended)
	}) {
		select {
		case <-ended:
		case <-l.done:
		}
	}
}

// ResumeTLS undoes EndTLS, but for the connections that have ended.
func (l *Loop) ResumeTLS() {
	l.do(func() {
		l.endingTLS = false
		l.shakeWaiting()
		l.resumeAccepting()
		for _, c := range l.clients {
			c.goOn()
		}
	})
}

// endIfTLS ends an idle connection if TLS connections are to end. What the client may have
// sent by now was not begun: it may be sent again.
func (c *client) endIfTLS() (ended bool) {
	if !c.loop.endingTLS || c.secure == nil || c.site != nil {
		return false
	}
	c.request.last = false // what it still sends is read
	c.linger()
	return true
}

// reportEnded tells those that wait for it that no TLS connection is about to end.
func (l *Loop) reportEnded() {
	if len(l.endWaiters) == 0 || l.lingersTLS() || l.handshakes.areYoung(time.Now()) {
		return
	}
	for _, ended := range l.endWaiters {
		close(ended)
	}
	l.endWaiters = nil
}

// lingersTLS reports whether a client that speaks TLS has not closed its side yet.
func (l *Loop) lingersTLS() bool {
	for _, c := range l.lingering {
		if c.secure != nil {
			return true
		}
	}
	return false
}
