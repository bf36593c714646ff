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
)

// Claim takes one of the site's workers for a request of the front door.
func (t *site) Claim(ctx context.Context, what string) (proxy.Claim, error) {
	c, err := t.pool.Claim(ctx, what)
	if err != nil {
		return nil, err
	}
	w := c.Worker().(worker)
	if g, ok := w.(goWorker); ok {
		return goClaim{claim{c, g}}, nil
	}
	return claim{c, w}, nil
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
	if errors.Is(err, fastcgi.ErrNotSent) {
		err = fmt.Errorf("%w: %w", proxy.ErrNotSent, err)
	}
	return resp, err
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
