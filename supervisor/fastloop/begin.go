package fastloop

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

// begin finds the file that a simple request is for, or queues it for a worker, or waits
// for its body. rest is what was read after the head. It returns false for a request that is
// not the loop's to answer.
func (c *client) begin(head, rest []byte) (mine bool) {
	r, ok := parseSimple(head, c.trusted)
	if !ok {
		return false
	}
	host, err := httphead.NormalizeHost(r.Host)
	if err != nil || host == "" {
		return false
	}
	if c.secure != nil {
		if r.Scheme = "https"; !c.covers(host) {
			return false // net/http refuses it
		}
	}
	s, _ := c.loop.o.Lookup(host, r.Path)
	if s == nil || s.Fast == nil || s.MaxBody > 0 && r.Length > s.MaxBody {
		return false
	}
	isStatic := s.HasStatic(r.Path)
	if isStatic && (r.Length > 0 || r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false
	}
	r.host = host
	if r.RemoteAddr, r.RemotePort = c.addr, c.port; c.trusted {
		r.setForwarded(c.loop.o.TrustedProxies)
	}
	if s.Diverts(r.Scheme, r.Path) {
		return false
	}
	if c.admission, ok = s.Admit(r.RemoteAddr); !ok {
		return false // net/http answers it with an error
	}
	memory := memoryFor(r.Length)
	if memory > 0 && !c.loop.o.Store.Take(memory) {
		c.admission.End()
		return false // net/http keeps the body in a file
	}
	c.request, c.held, c.site, c.start = r, memory, s, time.Now()
	c.loop.busy[c] = true
	s.Stats.Begin()
	if s.Rules != nil && !c.judge(rest) {
		return true
	}
	if isStatic {
		c.buffered = bytes.Clone(rest)
		c.findFile()
		return true
	}
	c.takeBody(rest)
	return true
}

// covers reports whether the client has seen a certificate of a host.
func (c *client) covers(host string) bool {
	covers := c.loop.o.Covers
	return covers == nil || covers(c.secure.state.ServerName, host)
}

// enqueue queues a request that is here completely.
func (c *client) enqueue() {
	c.asked = time.Now()
	c.detachAt = c.asked.Add(DetachAfter)
	var err error
	if c.ticket, err = c.site.Fast.Enqueue(c.request.what(), c.notify); err != nil {
		c.detachFailed(err)
		return
	}
	c.loop.takeNotified() // a request that got a worker before is sent before
	c.send()
}

// takeNotified sends the requests that got a worker.
func (l *Loop) takeNotified() {
	l.mu.Lock()
	notified := l.notified
	l.notified = nil
	l.mu.Unlock()
	for _, c := range notified {
		c.send()
	}
}

// send sends the request, if it has got a worker.
func (c *client) send() {
	if c.ticket == nil || c.direct != nil || !c.ticket.Resolved() {
		return // the notification was for an earlier request
	}
	direct, err := c.ticket.Wait(context.Background())
	if err != nil {
		c.detachFailed(err)
		return
	}
	c.direct, c.sent = direct, time.Now()
	switch outcome, fd := direct.Send(&c.request.Head, c.loop); outcome {
	case wire.Written:
		c.joinLine(fd)
	case wire.NoFollower:
		c.requeue()
	default:
		c.detach()
	}
}

// requeue queues the request again, before all that wait.
func (c *client) requeue() {
	c.direct, c.sent = nil, time.Time{}
	if err := c.ticket.Requeue(); err != nil {
		c.detachFailed(err)
		return
	}
	c.loop.takeNotified()
	c.send()
}

// recallFollowers recalls all requests that were sent after c, the head of a line, the
// last one first. It returns false if the worker has begun one: then c's answer is here.
func (c *client) recallFollowers() bool {
	for c.next != nil {
		last := c.lastOfLine()
		if !last.direct.Recall() {
			return false
		}
		c.dropLast()
		last.requeue()
	}
	if c.direct != nil {
		c.direct.CloseLine()
	}
	return true
}

// recallStalled recalls the followers of lines in which nothing moves.
func (l *Loop) recallStalled(now time.Time) {
	if l.followers == 0 || now.Sub(l.recalled) < lineStall/2 {
		return
	}
	l.recalled = now
	for _, head := range l.heads {
		if head.next != nil && now.Sub(head.next.sent) > lineStall {
			head.recallFollowers() // false: an event follows, since the answer is here
		}
	}
}

// detach gives the request to net/http, unless it still queues behind another or its
// answer has arrived.
func (c *client) detach() {
	if c.isFollower() || !c.recallFollowers() {
		return
	}
	if c.direct == nil && c.ticket != nil {
		if err := c.ticket.WaitInstead(); err != nil {
			c.detachFailed(err)
			return
		}
	}
	c.detachPending(&Pending{Ticket: c.ticket, Direct: c.direct, Sent: c.sent})
}

// detachFailed lets net/http answer a request that gets no worker.
func (c *client) detachFailed(err error) {
	c.detachPending(&Pending{Err: err})
}

// detachPending gives net/http a request that the loop has begun, as if the body had not
// been read.
func (c *client) detachPending(p *Pending) {
	r := &c.request
	p.Site, p.Start, p.Host, p.ID, p.User, p.Asked = c.site, c.start, r.host, r.id, r.User, c.asked
	if len(r.Body) > 0 {
		c.buffered = append(r.Body, c.buffered...)
		c.block = nil // net/http has it now
	}
	c.detachRequest([]byte(r.text), httphead.EndAfter(r.Length), p)
}
