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

// write sends the answer. A goroutine sends what the client does not take at once.
func (c *client) write(a *wire.Answer, worker string) {
	l, now, last := c.loop, time.Now(), c.request.last || c.loop.isClosing()
	head := c.request.Method == http.MethodHead
	l.out = appendAnswer(l.out[:0], a, head, last, l.date.at(now))
	n, err := unix.Write(c.fd, l.out)
	entry := c.entry(a, now, worker)
	c.site.CountPage(&c.request.Head, a, entry.Took)
	switch {
	case err != nil && err != unix.EAGAIN:
		entry.Status, entry.Bytes = site.StatusClientGone, 0
		c.site.Record(entry)
		c.close()
		return
	case n < len(l.out):
		c.finishSlowly(bytes.Clone(l.out[max(n, 0):]), last, entry)
		return
	}
	c.site.Record(entry)
	if last {
		c.linger()
		return
	}
	c.endRequest()
	c.start, c.patience = now, l.o.Timeouts.Idle
	c.goOn()
}

// entry returns the line of the access log when the answer is written.
func (c *client) entry(a *wire.Answer, now time.Time, worker string) site.Entry {
	return site.Entry{
		Client: c.request.RemoteAddr, Line: c.request.line, Referer: c.request.referer, Agent: c.request.agent,
		Time: c.start, Took: now.Sub(c.start), Status: a.Status, Bytes: int64(len(a.Body)), Worker: worker,
	}
}
