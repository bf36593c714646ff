package fastloop

import (
	"errors"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// maxReads is how often the loop reads from one worker before others get their turn.
const maxReads = 8

// serveLine goes on with the answers of the line of a worker's connection.
func (l *Loop) serveLine(fd int) {
	for range maxReads {
		if c := l.heads[fd]; c == nil || !c.answered() {
			return
		}
	}
	l.unread = append(l.unread, fd)
}

// serveUnread goes on with lines that had to give way to others.
func (l *Loop) serveUnread() {
	unread := l.unread
	l.unread = nil
	for _, fd := range unread {
		l.serveLine(fd)
	}
}

// answered is called when c, the head of a line, may have more of its answer. It reports
// whether more may be here, of this answer or the next in the line.
func (c *client) answered() (more bool) {
	if c.waits() {
		return false // writable goes on
	}
	p, err := c.direct.Receive(c.loop.in)
	if c.reply.begun {
		more = c.direct.HasBuffered()
		c.deliver(p, err)
		return more
	}
	if errors.Is(err, wire.ErrMustWait) && !c.recallFollowers() {
		p, err = c.direct.Receive(c.loop.in) // the worker has begun the next, so all of the answer is here
	}
	more = c.direct.HasBuffered()
	switch {
	case err != nil:
		c.leaveLine()
		c.detach()
	case p.Head != nil:
		c.beginAnswer(p)
	}
	return more
}

// begun begins the answer, of which p is the first part: it makes the head of l.out. It may
// be called again, when the worker is released, for a body that was encoded.
func (c *client) begun(p *wire.Part) {
	l, now := c.loop, time.Now()
	r := &c.reply
	worker, again := r.entry.Worker, r.begun
	if !again { // else it was released
		worker = c.direct.Worker()
	}
	r.begun, r.last, r.entry, r.moved, r.left = true, c.isLast(), c.entry(p.Head, worker), now, p.Length
	r.entry.Queue = c.sent.Sub(c.asked)
	f := framing{length: -1, id: c.request.id}
	switch bodiless := c.request.Method == http.MethodHead || wire.Bodiless(p.Head.Status); {
	case bodiless:
		r.left = 0
	case p.Length < 0 && p.End:
		f.length = p.Size()
		r.left = f.length
	case p.Length < 0:
		f.chunked, r.chunked = true, true
	}
	if (r.left < 0 || r.left > MaxUnsent) && !c.bounded {
		c.bounded = true
		// With MaxUnsent itself a client that takes all at once would be waited for more often.
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 2*MaxUnsent) // it works without
	}
	if r.left >= 0 && !again {
		c.site.CountPage(&c.request.Head, p.Head, now.Sub(c.start), r.left)
	}
	c.promiseTLS(p.Head)
	l.out = appendHead(l.out[:0], p.Head, f, r.last, l.date.at(now))
	r.head = len(l.out)
}

// deliver gives a part of the answer to the client, after what l.out has. err is why no
// more comes, or only to somebody who waits for it.
func (c *client) deliver(p wire.Part, err error) {
	c.reply.came = time.Now()
	if p.End {
		c.workerDone()
	}
	c.pass(p, err)
}

// workerDone releases the worker, whose answer is read.
func (c *client) workerDone() {
	c.reply.entry.App = c.reply.came.Sub(c.sent)
	c.reply.ended = true
	c.leaveLine()
	c.direct.Release()
	c.loop.takeNotified() // the worker's next request is sent before this answer
}

// pass gives the client a part of the answer, as deliver does.
func (c *client) pass(p wire.Part, err error) {
	now := c.reply.came
	pieces, cut := c.compose(p)
	rest, gone := c.put(pieces, now)
	if cut == nil && err != wire.ErrMustWait {
		cut = err
	}
	switch {
	case gone:
		c.leave(now)
	case cut != nil:
		c.cut(cut, now)
	case len(rest) > 0, err != nil:
		c.handOver(rest)
	case c.reply.ended && !c.waits():
		c.replied(now)
	}
}

// entry returns the line of the access log, of which the time and the length are not known
// yet.
func (c *client) entry(a *wire.Answer, worker string) site.Entry {
	tls := ""
	if c.secure != nil {
		tls = c.secure.version()
	}
	return site.Entry{
		Client: c.request.RemoteAddr, Line: c.request.line, Referer: c.request.referer, Agent: c.request.agent,
		Host: c.request.host, User: c.request.User, ID: c.request.id, TLS: tls, Time: c.start, Status: a.Status, Worker: worker,
	}
}
