package proxy

import (
	"time"

	"golang.org/x/sys/unix"
)

// partTime is how long a client has to close a connection that has ended. Until then
// what it still sends is thrown away: to close with that unread would reset the
// connection, and could destroy the last answer on its way.
const partTime = 500 * time.Millisecond

// part ends a connection after its last answer. Where the client wanted that and has
// sent nothing more, there is nothing to wait for.
func (c *client) part() {
	l, asked := c.loop, c.request.last
	c.done()
	if asked && len(c.begun) == 0 && c.silent() {
		c.close()
		return
	}
	delete(l.clients, c.fd)
	l.partFrom(c)
}

func (l *Loop) partFrom(c *client) {
	c.start = time.Now()
	l.parting[c.fd] = c
	_ = unix.Shutdown(c.fd, unix.SHUT_WR) // drain meets the same
	l.drain(c)
}

// letPart ends a connection that another goroutine had.
func (l *Loop) letPart(s *socket) error {
	fd, err := s.detach()
	if err == nil && !l.post(func() {
		_ = l.watch(fd, clientEvents) // or it is closed a bit later
		l.partFrom(&client{loop: l, fd: fd})
	}) {
		unix.Close(fd)
	}
	return err
}

// drain reads what nobody wants any more, and closes at its end, or where it is too
// much.
func (l *Loop) drain(c *client) {
	for range 16 {
		n, err := unix.Read(c.fd, l.in)
		if err == unix.EAGAIN {
			return
		}
		if n <= 0 && err != unix.EINTR {
			break
		}
	}
	l.forget(c)
}

// forget closes a connection that is parting.
func (l *Loop) forget(c *client) {
	l.Unwatch(c.fd)
	delete(l.parting, c.fd)
	unix.Close(c.fd)
}

// forgetParting closes those whose time is over.
func (l *Loop) forgetParting(now time.Time) {
	for _, c := range l.parting {
		if now.Sub(c.start) > partTime {
			l.forget(c)
		}
	}
}
