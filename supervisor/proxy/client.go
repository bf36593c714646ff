package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// client is a connection that the Loop has. Only the loop's thread uses it.
type client struct {
	loop        *Loop
	fd          int
	peer, local string        // "10.0.0.1:1234"
	addr, port  string        // of peer
	trusted     bool          // a proxy that may speak for others
	told        func()        // for Ask
	start       time.Time     // of the request, or of being idle
	patience    time.Duration // with it while it is idle
	unread      bool          // there may be something to read of which no event tells
	gone        bool          // its sending side, at least
	begun       []byte        // read, but not of the request under way
	scanned     int           // of it, where no head ends

	// of the request under way:
	request   simple
	site      *site.Site
	admission site.Admission
	asked     site.Ticket
	direct    site.Direct // once it was sent
	asking    int         // descriptor in loop.asking; 0: none
	next      *client     // whose request was sent behind this one
	sent      time.Time
}

// clientEvents are what a client's connection is watched for.
const clientEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// add takes a new connection, or one that comes back.
func (l *Loop) add(fd int, peer, local string, patience time.Duration) {
	c := &client{loop: l, fd: fd, peer: peer, local: local, start: time.Now(), patience: patience}
	c.addr, c.port, _ = net.SplitHostPort(peer) // it is one
	c.trusted = httphead.IsTrusted(peer, l.proxy.trusted)
	c.told = func() { l.tell(c) }
	if l.isClosing() || l.watch(fd, clientEvents) != nil {
		unix.Close(fd)
		return
	}
	l.clients[fd] = c
}

// leave takes the connection out of the loop and returns its descriptor.
func (c *client) leave() int {
	l := c.loop
	l.Unwatch(c.fd)
	delete(l.clients, c.fd)
	c.done()
	return c.fd
}

func (c *client) close() { unix.Close(c.leave()) }

// done ends the request.
func (c *client) done() {
	delete(c.loop.busy, c)
	if c.asking != 0 {
		c.leaveLine()
	}
	c.admission.End()
	c.request, c.site, c.asked, c.direct, c.asking = simple{}, nil, nil, nil, 0
}

// begin asks the request's site for a worker. It returns false for what is not
// the loop's to answer.
func (c *client) begin(data []byte) (mine bool) {
	r, ok := parseSimple(data, c.trusted)
	if !ok {
		return false
	}
	host, err := httphead.NormalizeHost(r.Host)
	if err != nil || host == "" {
		return false
	}
	site, _ := c.loop.proxy.table.Load().Lookup(host, r.Path)
	if site == nil || site.Fast == nil || site.HasStatic(r.Path) {
		return false
	}
	if r.RemoteAddr, r.RemotePort = c.addr, c.port; c.trusted {
		r.believe(c.loop.proxy.trusted)
	}
	if c.admission, ok = site.Admit(r.RemoteAddr); !ok {
		return false // net/http tells why
	}
	c.request, c.site, c.start = r, site, time.Now()
	c.loop.busy[c] = true
	if c.asked, err = site.Fast.Enqueue(r.what(), c.told); err != nil {
		c.handOverErr(err)
		return true
	}
	c.loop.takeTold() // who got a worker before is sent before
	c.settled()
	return true
}

// settled sends the request, if a worker was found.
func (c *client) settled() {
	if c.asked == nil || c.direct != nil || !c.asked.Resolved() {
		return // word of an earlier request
	}
	direct, err := c.asked.Wait(context.Background())
	if err != nil {
		c.handOverErr(err)
		return
	}
	c.direct, c.sent = direct, time.Now()
	switch outcome, fd := direct.Send(&c.request.Head, c.loop); outcome {
	case wire.Written:
		c.loop.join(c, fd)
	case wire.NoFollower:
		c.askAgain()
	default:
		c.handOver()
	}
}

// answered is called when the worker has said something. more: to the next in line, too.
func (c *client) answered() (more bool) {
	a, err := c.direct.Receive(c.loop.in)
	if errors.Is(err, wire.ErrMustWait) && !c.alone() {
		a, err = c.direct.Receive(c.loop.in)
	}
	if a == nil && err == nil {
		return false
	}
	more = c.direct.HasBuffered()
	c.leaveLine()
	if err != nil {
		c.handOver()
		return more
	}
	worker := c.direct.Worker()
	c.direct.Release()
	c.loop.takeTold() // the worker's next request goes out first
	c.write(a, worker)
	return more
}

// write sends the answer. What the client does not take at once is another's work.
func (c *client) write(a *wire.Answer, worker string) {
	l, now, last := c.loop, time.Now(), c.request.last || c.loop.isClosing()
	head := c.request.Method == http.MethodHead
	l.out = appendAnswer(l.out[:0], a, head, last, l.date.at(now))
	n, err := unix.Write(c.fd, l.out)
	entry := c.entry(a, now, worker)
	switch {
	case err != nil && err != unix.EAGAIN:
		entry.Status, entry.Bytes = site.StatusClientGone, 0
		c.site.Record(entry)
		c.close()
		return
	case n < len(l.out):
		c.finish(bytes.Clone(l.out[max(n, 0):]), last, entry)
		return
	}
	c.site.Record(entry)
	if last {
		c.part()
		return
	}
	c.done()
	c.start, c.patience = now, l.proxy.timeouts.Idle
	c.goOn()
}

// entry is what the access log says of the request, when the answer is written.
func (c *client) entry(a *wire.Answer, now time.Time, worker string) site.Entry {
	return site.Entry{
		Client: c.request.RemoteAddr, Line: c.request.line, Referer: c.request.referer, Agent: c.request.agent,
		Time: c.start, Took: now.Sub(c.start), Status: a.Status, Bytes: int64(len(a.Body)), Worker: worker,
	}
}

// finish lets a goroutine write what a client did not take at once.
func (c *client) finish(rest []byte, last bool, e site.Entry) {
	l, site, held, begun := c.loop, c.site, c.admission.Take(), c.begun
	conn := newSocket(c.leave(), c.peer, c.local)
	l.gave = true
	l.handed.note(conn, http.StateActive)
	waits, moved := l.proxy.store.NewSpool(), make(chan struct{})
	go func() {
		defer close(moved)
		_, err := waits.Write(rest)
		waits.Finish(err)
	}()
	left := len(rest)
	go func() {
		defer l.handed.note(conn, http.StateClosed)
		left -= l.writeSlowly(conn, waits)
		waits.Cancel()
		<-moved
		waits.Close()
		held.End()
		e.Bytes, e.Took = max(e.Bytes-int64(left), 0), time.Since(e.Time)
		site.Record(e)
		switch {
		case left > 0:
			conn.Close()
		case last:
			_ = l.letPart(conn) // or it is closed
		default:
			_ = l.takeBack(conn, begun) // or it is closed
		}
	}()
}

// writeSlowly returns how much of what waits the client has taken.
func (l *Loop) writeSlowly(conn *socket, waits *spool.Spool) (written int) {
	for {
		p, err := waits.Next(func() {})
		if err != nil {
			return written
		}
		_ = conn.SetWriteDeadline(time.Now().Add(l.proxy.timeouts.Client)) // a socket has deadlines
		n, err := conn.Write(p[:min(len(p), spool.CopySize)])
		waits.Take(n)
		if written += n; err != nil {
			return written
		}
	}
}

// handOver lets net/http go on with the request. One that waits in line, or whose answer
// is here, stays.
func (c *client) handOver() {
	if c.isBehind() || !c.alone() {
		return
	}
	if c.direct == nil {
		if err := c.asked.WaitInstead(); err != nil {
			c.handOverErr(err)
			return
		}
	}
	c.giveAway([]byte(c.request.text), httphead.BodyEnd{}, &pending{site: c.site, start: c.start, asked: c.asked, direct: c.direct, sent: c.sent})
}

// handOverErr lets net/http tell why there is no worker.
func (c *client) handOverErr(err error) {
	c.giveAway([]byte(c.request.text), httphead.BodyEnd{}, &pending{site: c.site, start: c.start, err: err})
}

// giveAway hands the connection over for a request whose head was read. end is in what
// comes behind that.
func (c *client) giveAway(head []byte, end httphead.BodyEnd, p *pending) {
	l := c.loop
	h := newHanded(l, head, end, c.begun)
	if p != nil {
		p.admission = c.admission.Take()
		h.pending.Store(p)
	}
	h.socket = newSocket(c.leave(), c.peer, c.local)
	l.gave = true
	l.handed.note(h, http.StateNew)
	l.handover.put(h)
}
