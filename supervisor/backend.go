package supervisor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/pool"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// Claim takes one of the site's workers for a request of the front door.
func (t *site) Claim(ctx context.Context, what string) (front.Claim, error) {
	return frontClaim(t.pool.Claim(ctx, what))
}

// frontClaim turns what the pool returned into what the front door expects.
func frontClaim(c *pool.Claim, err error) (front.Claim, error) {
	if errors.Is(err, pool.ErrDeadly) {
		return nil, front.ErrDeadly
	}
	if err != nil {
		return nil, err
	}
	return newClaim(c), nil
}

// claim is a pool's claim as the front door needs it. The goroutine that has the request
// uses it.
type claim struct {
	*pool.Claim
	worker worker    // the claim's; nil until a ticket is resolved
	isGo   bool      // worker is a Go worker
	since  time.Time // when the claim got its worker
}

// newClaim returns the claim of a worker.
func newClaim(c *pool.Claim) claim {
	w := c.Worker().(worker)
	_, isGo := w.(goWorker)
	return claim{c, w, isGo, time.Now()}
}

// Worker returns the name of the claim's worker.
func (c claim) Worker() string { return c.ID() }

// PID returns the number of the worker's process.
func (c claim) PID() int { return c.worker.PID() }

// Fail gives back a worker that did not answer as it should.
func (c claim) Fail(err error) { c.Claim.Fail(!errors.Is(err, wire.ErrNotSent)) }

// Retry claims another worker.
func (c claim) Retry(ctx context.Context) (front.Claim, error) { return frontClaim(c.Claim.Retry(ctx)) }

// Abandon replaces a worker whose request overran its time. A Go worker is first given
// shutdown_timeout: the end of its connection cancels the request's context in it, and if
// the handler then returns, the worker need not be replaced.
func (c claim) Abandon() {
	w, isGo := c.worker.(goWorker)
	if !isGo {
		c.Claim.MarkStuck(pool.ReasonRequestTimeout)
		return
	}
	age := time.Since(c.since)
	c.Claim.MarkStuckIf(pool.ReasonRequestTimeout, func() bool { return w.Stuck(age) })
}

// RoundTrip sends a request and returns the answer.
func (c claim) RoundTrip(r *http.Request) (*http.Response, error) {
	c.setForwarded(r)
	return c.worker.RoundTrip(r)
}

// setForwarded sets the X-Forwarded headers, from which a Go worker learns of the
// client, to what the front door itself believes.
func (c claim) setForwarded(r *http.Request) {
	if !c.isGo {
		return
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		r.Header.Set("X-Forwarded-For", host)
	}
	r.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	r.Header.Set("X-Forwarded-Host", r.Host)
	if r.URL.User != nil { // whose password the front door has checked
		r.Header.Set(httphead.RemoteUser, r.URL.User.Username())
	}
}

// Enqueue is Claim for the fast loop, which does not wait.
func (t *site) Enqueue(what string, notify func()) (front.Ticket, error) {
	c, err := t.pool.Ask(what, notify)
	if err != nil {
		return nil, err
	}
	return &direct{claim: claim{Claim: c}, site: t}, nil
}

// direct is a ticket, and the claim that it becomes, for a request that is sent without
// waiting. The fast loop uses it, and then the goroutine to which the loop detached the
// request.
type direct struct {
	claim
	wire.Sent // what Send returned; nil: nothing was sent, or RoundTrip has taken it
	site      *site
}

// Wait returns when there is a worker.
func (d *direct) Wait(ctx context.Context) (front.Direct, error) {
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
	d.Sent = send(h, w)
	if o = d.Outcome(); o != wire.Written {
		return o, -1
	}
	return o, d.FD()
}

// Requeue gives the worker back, and queues the request again.
func (d *direct) Requeue() error {
	d.Sent = nil
	return d.claim.Requeue()
}

// RoundTrip waits for the answer to what was sent, or sends it.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := d.Sent
	if sent == nil {
		return d.claim.RoundTrip(r)
	}
	d.Sent = nil
	d.setForwarded(r) // Await may have to send it
	return sent.Await(r)
}

// Rest returns what Receive has not read of the answer.
func (d *direct) Rest(ctx context.Context) (io.ReadCloser, error) {
	sent := d.Sent
	d.Sent = nil
	return sent.Rest(ctx)
}

// Fail gives up a request whose answer nobody waits for. The worker is free when it has
// finished the request, not before.
func (d *direct) Fail(err error) {
	if d.Sent == nil {
		d.claim.Fail(err)
		return
	}
	go d.awaitWorker() // returns when the worker has finished, at request_timeout, or when the worker exits
}

// awaitWorker gives the worker back when it has finished a request that was given up.
func (d *direct) awaitWorker() {
	var deadline time.Time
	if limit := d.site.config().RequestTimeout; limit > 0 {
		deadline = d.since.Add(limit)
	}
	switch err := d.Close(deadline); {
	case err == nil:
		d.Release()
	case errors.Is(err, context.DeadlineExceeded):
		d.Abandon()
		d.Release()
	default:
		d.claim.Fail(err)
	}
}
