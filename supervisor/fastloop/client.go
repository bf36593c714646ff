package fastloop

import (
	"container/list"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
)

// client is a connection that the loop owns. Only the loop's thread uses it, except that
// any goroutine may call notify.
type client struct {
	// Set by add, never changed.
	loop       *Loop
	fd         int
	peer       string  // "10.0.0.1:1234"
	addr, port string  // of peer
	trusted    bool    // peer is a proxy that may speak for others
	secure     *secure // nil: no TLS
	notify     func()  // for Enqueue

	// Of the connection.
	seat     *seat         // in what is counted of connections
	hello    bool          // its TLS handshake is to begin
	place    *list.Element // waits for that; nil: does not
	start    time.Time     // when the request under way, or the idle time, began
	patience time.Duration // how long it may be idle; not for a request under way
	bounded  bool          // what the kernel holds of an answer and has not sent is bounded
	unread   bool          // there may be something to read for which no event will come
	gone     bool          // the client has closed its sending side, or more
	buffered []byte        // was read, but is not of the request under way
	scanned  int           // bytes of buffered in which no head ends

	// Of the request under way; zero if there is none (endRequest).
	request   simple         // its Body grows until it has Length bytes
	held      int            // bytes of the store's memory, for the body
	block     *bodyBlock     // has the body; nil: it has memory of its own
	asked     time.Time      // when a worker was asked for; zero: not yet
	detachAt  time.Time      // when net/http gets it
	site      *site.Site     // nil: no request is under way
	admission site.Admission // is ended here, or taken by Pending
	ticket    site.Ticket    // nil: the body is to come, or Enqueue has failed
	direct    site.Direct    // set before Send; nil: waits for a worker
	sent      time.Time      // when direct was sent
	workerFD  int            // of the line that the client is in; 0: none
	next      *client        // in the line; nil: c is the last, or in none
	reply     reply          // the answer
	output    output         // what waits of it
	file      fileOutput     // the file that is the answer, or its body
	disk      *diskWait      // what the request waits for; nil: no disk
}

// clientEvents are what a client's connection is watched for, all the time. An
// edge-triggered EPOLLOUT costs nothing until a write did not fit.
const clientEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// add takes a new connection, or one that comes back.
func (l *Loop) add(fd int, peer string, s *secure, patience time.Duration) *client {
	c := &client{loop: l, fd: fd, peer: peer, secure: s, start: time.Now(), patience: patience}
	s.keep(fd)
	c.addr, c.port, _ = net.SplitHostPort(peer) // cannot fail: addrPort has made it
	c.trusted = httphead.IsTrusted(peer, l.o.TrustedProxies)
	c.notify = func() { l.notify(c) }
	if l.isClosing() || l.watch(fd, clientEvents) != nil {
		unix.Close(fd)
		return nil
	}
	l.clients[fd] = c
	return c
}

// remove takes the connection out of the loop and returns its descriptor.
func (c *client) remove() int {
	l := c.loop
	l.Unwatch(c.fd)
	delete(l.clients, c.fd)
	l.handshakes.forget(c)
	c.endRequest()
	c.seat.leave() // unless it was moved on
	return c.fd
}

// close ends the connection. A client with a request under way has not got its whole answer,
// and is not told that this is the end.
func (c *client) close() {
	if c.site == nil {
		c.secure.bye()
	}
	c.secure.drop()
	unix.Close(c.remove())
}

// endRequest makes the client idle.
func (c *client) endRequest() {
	delete(c.loop.busy, c)
	if c.site != nil {
		c.site.Stats.End()
	}
	if c.workerFD != 0 {
		c.leaveLine()
	}
	c.admission.End()
	c.output.drop(c.loop.o.Store)
	c.file.drop()
	c.reply, c.disk = reply{}, nil
	c.freeBody()
	c.request, c.site, c.ticket, c.direct, c.workerFD, c.asked, c.sent = simple{}, nil, nil, nil, 0, time.Time{}, time.Time{}
}

// silent reports that there is nothing to read.
func (c *client) silent() bool {
	var b [1]byte
	n, _, _ := unix.Recvfrom(c.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n <= 0
}
