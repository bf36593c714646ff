package site

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/multisite/multisite/worker/wire"
)

// ErrDeadly is returned by Retry for a request that two workers have died of: it is not
// sent to a third.
var ErrDeadly = errors.New("workers died while they ran this request")

// Backend gives requests to the workers of one site.
type Backend interface {
	// Claim takes a worker for one request and may wait for it. what names the request
	// in logs.
	Claim(ctx context.Context, what string) (Claim, error)
}

// Claim is a worker held for one request. The holder calls either Release or Fail, once.
type Claim interface {
	// RoundTrip sends the request. r.Host, r.RemoteAddr and r.URL.Scheme are the
	// client's. The worker is free again when Body.Close has returned nil.
	RoundTrip(r *http.Request) (*http.Response, error)
	Worker() string // "subdomain1/1"
	Release()
	PID() int       // of the worker
	Fail(err error) // instead of Release: err is why the worker did not answer as it should
	Abandon()       // before Release: the request overran its time; the worker is replaced

	// Hold keeps the worker, beside its requests, until release is called. cut is called
	// if the worker has to exit. Release must still be called.
	Hold(cut func()) (release func())

	// Retry claims a worker for the same request after Fail. The request goes before all
	// that wait, and to another worker. The error may be ErrDeadly.
	Retry(ctx context.Context) (Claim, error)
}

// FastBackend is a Backend that gives a request to a worker without making the caller
// wait. The fast loop needs one.
type FastBackend interface {
	// Enqueue is Claim without the wait. If the ticket is not resolved at once, notify is
	// called when it is: on any goroutine, with locks held, so it may only take note.
	Enqueue(what string, notify func()) (Ticket, error)
}

// Ticket is a request's place in the queue of its site, or the worker that it got. One
// goroutine uses it at a time.
type Ticket interface {
	// Resolved reports whether the place is decided: Wait returns at once.
	Resolved() bool
	Wait(ctx context.Context) (Direct, error)
	// WaitInstead is called before another goroutine calls Wait: notify is not called any
	// more, and the request is no follower of another one. An error ends the ticket.
	WaitInstead() error
	// Requeue gives back a worker that has not begun the request, and queues the request
	// again, before all that wait. An error ends the ticket.
	Requeue() error
}

// Direct is a Claim for a request that is sent without waiting. After Send, RoundTrip
// returns the answer to what was sent. The methods of wire.InFlight are called only if
// the outcome of Send was wire.Written, but for CloseLine, which may follow AwaitOnly too.
type Direct interface {
	Claim
	wire.InFlight
	// Send sends a request with its body. Written: w watches fd and calls for Receive.
	// AwaitOnly: only RoundTrip can send it, or report what happened. NoFollower: the
	// ticket is to be requeued. fd is valid only for Written.
	Send(h *wire.Head, w wire.Watcher) (o wire.Outcome, fd int)
	// Rest returns what is missing of a body whose beginning Receive has read. When its
	// Close has returned nil, the worker is free again.
	Rest(ctx context.Context) (io.ReadCloser, error)
}
