package proxy

import "context"

// Asker is a Backend that can be asked, and whose workers take and answer a
// request, without anybody waiting: what the Loop needs.
type Asker interface {
	// Ask is Claim without the wait. Where the place in the queue is not Settled at
	// once, told is called when it is, from anywhere: it only takes note.
	Ask(what string, told func()) (Asked, error)
}

// Asked is a request's place in the queue of its site, or the worker it got.
type Asked interface {
	Settled() bool
	Wait(ctx context.Context) (Direct, error) // does not wait once Settled
}

// Direct is a Claim for a request that is sent without waiting. After Send,
// RoundTrip is for the answer of what was sent.
type Direct interface {
	Claim
	// Send sends a request without a body. fd tells w when to Receive; -1: only
	// RoundTrip can say what happened.
	Send(h *Head, w Watcher) (fd int)
	// Receive reads what is there. Without answer or error there is more to come
	// soon; an error leaves the rest to RoundTrip.
	Receive(buf []byte) (*Answer, error)
}

// Watcher tells its owner when there is something to read on a descriptor.
type Watcher interface {
	Watch(fd int) error
	Unwatch(fd int)
}

// Head is a simple request, as CGI tells a worker of it.
type Head struct {
	Method, URI, Path, Query, Proto string
	Host                            string
	Scheme                          string
	RemoteAddr, RemotePort          string
	Local                           string
	Length                          int64       // always -1: no body
	Fields                          [][2]string // the header, without Host and without what concerns one connection
}

// Answer is a whole answer: its Content-Length, where it has one, is right, and no
// field concerns one connection.
type Answer struct {
	Status int
	Fields [][2]string // names in canonical form
	Body   []byte
}
