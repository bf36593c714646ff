package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/worker/fastcgi"
	"github.com/multisite/multisite/worker/wire"
	"github.com/multisite/multisite/worker/wsgi"
)

// Claim takes one of the site's workers for a request of the front door.
func (t *site) Claim(ctx context.Context, what string) (proxy.Claim, error) {
	return asClaim(t.pool.Claim(ctx, what))
}

// Again is Claim for a request whose worker died.
func (t *site) Again(ctx context.Context, what string) (proxy.Claim, error) {
	return asClaim(t.pool.Again(ctx, what))
}

func asClaim(c *pool.Claim, err error) (proxy.Claim, error) {
	if err != nil {
		return nil, err
	}
	w := c.Worker().(worker)
	if g, ok := w.(goWorker); ok {
		return goClaim{claim{c, g}}, nil
	}
	return claim{c, w}, nil
}

// Ask is Claim for the front door's loop. All of the site's workers speak FastCGI.
func (t *site) Ask(what string, told func()) (proxy.Asked, error) {
	c, err := t.pool.Ask(what, told)
	if err != nil {
		return nil, err
	}
	return &direct{claim: claim{Claim: c}}, nil
}

// direct is a claim for a request that is sent without waiting.
type direct struct {
	claim
	sent *fastcgi.Sent
}

// Wait returns when there is a worker.
func (d *direct) Wait(ctx context.Context) (proxy.Direct, error) {
	if _, err := d.Claim.Wait(ctx); err != nil {
		return nil, err
	}
	d.worker = d.Claim.Worker().(worker)
	return d, nil
}

// Send sends the request on a connection that w watches.
func (d *direct) Send(h *wire.Head, w wire.Watcher) int {
	d.sent = d.worker.(*wsgi.Worker).Send(h, w)
	return d.sent.FD()
}

// Receive reads what has arrived of the answer.
func (d *direct) Receive(buf []byte) (*wire.Answer, error) { return d.sent.Receive(buf) }

// RoundTrip waits for the answer to what was sent, or sends it.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := d.sent
	if sent == nil {
		return d.claim.RoundTrip(r)
	}
	d.sent = nil
	resp, err := sent.Await(r)
	return resp, notSent(err)
}

// Broken gives up a request that nobody waits for any more.
func (d *direct) Broken() {
	if d.sent != nil {
		d.sent.Close()
	}
	d.claim.Broken()
}

// claim is a pool's claim as the front door needs it.
type claim struct {
	*pool.Claim
	worker worker
}

func (c claim) Worker() string { return c.ID() }

func (c claim) Abandon() { c.Claim.Abandon(pool.ReasonRequestTimeout) }

func (c claim) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.worker.RoundTrip(r)
	return resp, notSent(err)
}

// notSent says in the front door's words that nothing was sent.
func notSent(err error) error {
	if errors.Is(err, fastcgi.ErrNotSent) {
		return fmt.Errorf("%w: %w", proxy.ErrNotSent, err)
	}
	return err
}

// goClaim is a claim on a Go worker, which learns of the visitor from headers.
type goClaim struct{ claim }

// RoundTrip sets the X-Forwarded headers to what the front door itself believes.
func (c goClaim) RoundTrip(r *http.Request) (*http.Response, error) {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		r.Header.Set("X-Forwarded-For", host)
	}
	r.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	r.Header.Set("X-Forwarded-Host", r.Host)
	resp, err := c.worker.RoundTrip(r)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		err = fmt.Errorf("%w: %w", proxy.ErrNotSent, err)
	}
	return resp, err
}

// Abandon does nothing: the end of its connection cancels the request's context
// in the worker, whose other requests go on.
func (c goClaim) Abandon() {}
