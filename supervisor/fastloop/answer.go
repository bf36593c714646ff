package fastloop

import (
	"bytes"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// answered is called when c, the head of a line, may have its answer. It reports whether
// the answer of the next in the line may be here, too.
func (c *client) answered() (more bool) {
	a, err := c.direct.Receive(c.loop.in)
	if errors.Is(err, wire.ErrMustWait) && !c.recallFollowers() {
		a, err = c.direct.Receive(c.loop.in) // the worker has begun the next, so all of the answer is here
	}
	if a == nil && err == nil {
		return false
	}
	more = c.direct.HasBuffered()
	c.leaveLine()
	if err != nil {
		c.detach()
		return more
	}
	worker := c.direct.Worker()
	c.direct.Release()
	c.loop.takeNotified() // the worker's next request is sent before this answer
	c.write(a, worker)
	return more
}

// write sends the answer. What the client does not take at once waits in the output, or,
// where that has no room for it, a goroutine sends it.
func (c *client) write(a *wire.Answer, worker string) {
	l, now, last := c.loop, time.Now(), c.request.last || c.loop.isClosing()
	l.out = appendAnswer(l.out[:0], a, c.request.Method == http.MethodHead, last, l.date.at(now))
	c.reply = reply{begun: true, last: last, entry: c.entry(a, worker), head: len(l.out) - len(a.Body), body: int64(len(a.Body)), moved: now}
	n, err := unix.Write(c.fd, l.out)
	c.site.CountPage(&c.request.Head, a, now.Sub(c.start))
	c.took(n, now)
	switch rest := l.out[max(n, 0):]; {
	case err != nil && err != unix.EAGAIN:
		c.leave(now)
	case len(rest) == 0:
		c.replied(now)
	case !c.output.add(l.o.Store, rest):
		c.finishSlowly(bytes.Clone(rest))
	}
}

// entry returns the line of the access log, of which the time and the length are not known
// yet.
func (c *client) entry(a *wire.Answer, worker string) site.Entry {
	return site.Entry{
		Client: c.request.RemoteAddr, Line: c.request.line, Referer: c.request.referer, Agent: c.request.agent,
		Time: c.start, Status: a.Status, Worker: worker,
	}
}
