package fastloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// LingerTime is how long a client has to close a connection after its last answer. Until
// then what it still sends is discarded: closing a socket with unread bytes would reset
// the connection, and could destroy the last answer on its way.
const LingerTime = 500 * time.Millisecond

// linger ends a connection after its last answer. If the client wanted that and has sent
// nothing more, there is nothing to wait for.
func (c *client) linger() {
	l, wanted := c.loop, c.request.last
	c.endRequest()
	if wanted && len(c.buffered) == 0 && c.silent() {
		c.close()
		return
	}
	delete(l.clients, c.fd)
	l.startLinger(c)
}

func (l *Loop) startLinger(c *client) {
	c.start = time.Now()
	l.lingering[c.fd] = c
	c.secure.bye()
	_ = unix.Shutdown(c.fd, unix.SHUT_WR) // discard notices if the connection is gone
	l.discard(c)
}

// discard reads what nobody wants any more. It closes the connection at its end, or if
// there is too much.
func (l *Loop) discard(c *client) {
	for range 16 {
		n, err := unix.Read(c.fd, l.in.Take(nil))
		if err == unix.EAGAIN {
			return
		}
		if n <= 0 && err != unix.EINTR {
			break
		}
	}
	l.endLinger(c)
}

func (l *Loop) endLinger(c *client) {
	l.Unwatch(c.fd)
	delete(l.lingering, c.fd)
	c.seat.leave()
	c.secure.drop()
	unix.Close(c.fd)
}

// closeLingering closes the lingering connections whose time is up.
func (l *Loop) closeLingering(now time.Time) {
	for _, c := range l.lingering {
		if now.Sub(c.start) > LingerTime {
			l.endLinger(c)
		}
	}
}
