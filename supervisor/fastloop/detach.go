package fastloop

import (
	"context"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/site"
)

// Detached is a connection that the loop gives to net/http for one request. The receiver
// owns all of it, and gives the socket to Reattach or Linger, or closes it.
type Detached struct {
	Socket   *Socket
	Head     []byte           // of the request, complete
	End      httphead.BodyEnd // finds the end of the body in what follows the head
	Buffered []byte           // what was read after the head: body, and next requests
	Pending  *Pending         // what the loop has done of the request; nil: nothing
}

// Pending is a request that the loop has begun and net/http carries on. The receiver ends
// Admission. If the request was queued, it calls either Claim or GiveUp unless it uses
// Direct.
type Pending struct {
	Site      *site.Site
	Start     time.Time      // when the request was read
	Host      string         // as the table of sites has it
	ID        string         // of the request, as the worker has got it
	User      string         // whose password it had; "": nobody's
	Verdict   *rules.Verdict // of the site's rules; nil: it has passed
	Asked     time.Time      // when a worker was asked for; zero: not yet
	Admission site.Admission
	Ticket    site.Ticket // nil: the loop has not queued the request
	Direct    site.Direct // what Ticket gave, and the request was sent to; nil: not yet
	Sent      time.Time   // when; zero: not yet
	Err       error       // why the request gets no worker
}

// Queued reports whether the loop has queued the request, or tried to.
func (p *Pending) Queued() bool { return p.Ticket != nil || p.Err != nil }

// Claim returns what Backend.Claim would, if the request had not queued already. It is
// for a request that was not sent.
func (p *Pending) Claim(ctx context.Context) (site.Claim, error) {
	if p.Err != nil {
		return nil, p.Err
	}
	return p.Ticket.Wait(ctx)
}

// GiveUp ends a request that nobody carries on.
func (p *Pending) GiveUp() {
	p.Admission.End()
	if !p.Queued() {
		return
	}
	if p.Direct != nil {
		p.Direct.Fail(context.Canceled)
		return
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if claim, err := p.Claim(gone); err == nil { // nothing was sent
		claim.Release()
	}
}

// detachedSocket gives the connection to a goroutine.
func (c *client) detachedSocket() *Socket {
	seat := c.seat
	c.seat = nil // remove gives up only its own
	s := newSocket(c.remove(), c.peer)
	s.seat.Store(seat)
	c.secure.lend(s)
	return s
}

// detachRequest gives the connection to net/http for a request whose head was read. end
// is in what is buffered, or comes after that.
func (c *client) detachRequest(head []byte, end httphead.BodyEnd, p *Pending) {
	l := c.loop
	d := &Detached{Head: head, End: end, Buffered: c.buffered, Pending: p}
	if p != nil {
		p.Admission = c.admission.Take()
	}
	d.Socket = c.detachedSocket()
	l.gaveWork = true
	l.o.Detach(d)
}
