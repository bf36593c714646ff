package proxy

import (
	"context"

	"github.com/multisite/multisite/worker/wire"
)

// FastBackend is a Backend that can be asked, and whose workers take and answer a
// request, without anybody waiting: what the Loop needs.
type FastBackend interface {
	// Enqueue is Claim without the wait. Where the place in the queue is not Resolved at
	// once, told is called when it is, from anywhere: it only takes note.
	Enqueue(what string, told func()) (Ticket, error)
}

// Ticket is a request's place in the queue of its site, or the worker it got.
type Ticket interface {
	Resolved() bool
	Wait(ctx context.Context) (Direct, error) // does not wait once Resolved
	// WaitInstead is to be called before another goroutine waits: told is not called any more,
	// and the worker has no other request before. After an error that is all.
	WaitInstead() error
	// Requeue gives the worker back, which has not begun the request, and asks again,
	// before all who wait. After an error that is all.
	Requeue() error
}

// Direct is a Claim for a request that is sent without waiting. After Send,
// RoundTrip is for the answer of what was sent.
type Direct interface {
	Claim
	// Send sends a request without a body. Written: w watches fd, and calls for Receive;
	// AwaitOnly: only RoundTrip can send it, or say what happened; NoFollower: it is to
	// be requeued. fd is valid for Written alone.
	Send(h *wire.Head, w wire.Watcher) (o wire.Outcome, fd int)
	// Receive reads what is there. Without answer or error there is more to come
	// soon; an error leaves the rest to RoundTrip. See wire.Sent, also for the others.
	Receive(buf []byte) (*wire.Answer, error)
	HasBuffered() bool
	Recall() bool
	CloseLine()
}
