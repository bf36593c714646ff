package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/worker/wire"
)

// Claim takes one of the site's workers for a request of the front door.
func (t *site) Claim(ctx context.Context, what string) (proxy.Claim, error) {
	return claimed(t.pool.Claim(ctx, what))
}

func claimed(c *pool.Claim, err error) (proxy.Claim, error) {
	if errors.Is(err, pool.ErrDeadly) {
		return nil, proxy.ErrDeadly
	}
	if err != nil {
		return nil, err
	}
	return newClaim(c), nil
}

// claim is a pool's claim as the front door needs it.
type claim struct {
	*pool.Claim
	worker worker
	isGo   bool
	since  time.Time // when it got its worker
}

// newClaim returns the claim of a worker.
func newClaim(c *pool.Claim) claim {
	w := c.Worker().(worker)
	_, isGo := w.(goWorker)
	return claim{c, w, isGo, time.Now()}
}

func (c claim) Worker() string { return c.ID() }

// Fail gives back a worker that did not answer as it should.
func (c claim) Fail(err error) { c.Claim.Fail(!errors.Is(err, wire.ErrNotSent)) }

// Retry asks for another worker.
func (c claim) Retry(ctx context.Context) (proxy.Claim, error) { return claimed(c.Claim.Retry(ctx)) }

// Abandon replaces a worker whose request overran its time. A Go worker is first given
// shutdown_timeout: the end of its connection cancels the request's context in it,
// and a handler that heeds that costs no worker.
func (c claim) Abandon() {
	w, isGo := c.worker.(goWorker)
	if !isGo {
		c.Claim.MarkStuck(pool.ReasonRequestTimeout)
		return
	}
	age := time.Since(c.since)
	c.Claim.MarkStuckIf(pool.ReasonRequestTimeout, func() bool { return w.Stuck(age) })
}

// RoundTrip sends a request.
func (c claim) RoundTrip(r *http.Request) (*http.Response, error) {
	c.tell(r)
	return c.worker.RoundTrip(r)
}

// tell sets the X-Forwarded headers, from which a Go worker learns of the visitor,
// to what the front door itself believes.
func (c claim) tell(r *http.Request) {
	if !c.isGo {
		return
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		r.Header.Set("X-Forwarded-For", host)
	}
	r.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	r.Header.Set("X-Forwarded-Host", r.Host)
}

// Enqueue is Claim for the front door's loop.
func (t *site) Enqueue(what string, told func()) (proxy.Ticket, error) {
	c, err := t.pool.Ask(what, told)
	if err != nil {
		return nil, err
	}
	return &direct{claim: claim{Claim: c}, site: t}, nil
}

// direct is a claim for a request that is sent without waiting.
type direct struct {
	claim
	site *site
	sent wire.Sent // nil: not yet, or not any more
}

// Wait returns when there is a worker.
func (d *direct) Wait(ctx context.Context) (proxy.Direct, error) {
	if _, err := d.Claim.Wait(ctx); err != nil {
		return nil, err
	}
	d.claim = newClaim(d.Claim)
	return d, nil
}

// Send sends the request on a connection that w watches. fd is that of the connection.
func (d *direct) Send(h *wire.Head, w wire.Watcher) (o wire.Outcome, fd int) {
	send := d.worker.Send
	if d.IsFollower() {
		send = d.worker.SendFollower
	}
	d.sent = send(h, w)
	if o = d.sent.Outcome(); o != wire.Written {
		return o, -1
	}
	return o, d.sent.FD()
}

// Receive reads what has arrived of the answer.
func (d *direct) Receive(buf []byte) (*wire.Answer, error) { return d.sent.Receive(buf) }

// HasBuffered tells whether the answer to the next request may be here.
func (d *direct) HasBuffered() bool { return d.sent.HasBuffered() }

// Recall undoes Send.
func (d *direct) Recall() bool { return d.sent.Recall() }

// Requeue gives the worker back. What was to be sent there is not.
func (d *direct) Requeue() error {
	d.sent = nil
	return d.claim.Requeue()
}

// CloseLine lets no other request be sent behind this one.
func (d *direct) CloseLine() { d.sent.CloseLine() }

// RoundTrip waits for the answer to what was sent, or sends it.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := d.sent
	if sent == nil {
		return d.claim.RoundTrip(r)
	}
	d.sent = nil
	d.tell(r) // it may have to be sent yet
	return sent.Await(r)
}

// Fail gives up a request that nobody waits for any more. The worker is free when
// it has left that, not before.
func (d *direct) Fail(err error) {
	if d.sent == nil {
		d.claim.Fail(err)
		return
	}
	go d.leave() // ends with the request, its time, or the worker
}

func (d *direct) leave() {
	var deadline time.Time
	if limit := d.site.config().RequestTimeout; limit > 0 {
		deadline = d.since.Add(limit)
	}
	switch err := d.sent.Close(deadline); {
	case err == nil:
		d.Release()
	case errors.Is(err, context.DeadlineExceeded):
		d.Abandon()
		d.Release()
	default:
		d.claim.Fail(err)
	}
}
