package goapp

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/multisite/multisite/worker/wire"
)

// roundTripUpgrade is RoundTrip for a request with an Upgrade header, on a connection of its
// own. The body of an answer 101 is a *wire.Switched, which the end of r's context does not
// end.
func (w *Worker) roundTripUpgrade(r *http.Request) (*http.Response, error) {
	var text bytes.Buffer
	if err := verbatim(r).Write(&text); err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	conn, err := wire.Dial(context.Background(), w.path) // which does not wait: it is a unix socket
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	s := &sent{worker: w, conn: conn, unsent: text.Bytes()}
	return s.Await(r)
}

// switchProtocols makes the connection the body of an answer 101. It is not bound to the
// request's context any more.
func (b *awaited) switchProtocols(resp *http.Response, unread []byte) error {
	if !b.stop() {
		return context.Cause(b.ctx)
	}
	b.sending.Wait() // the worker has read the request, or will not
	resp.Body = &wire.Switched{File: b.conn, Unread: bytes.Clone(unread)}
	return nil
}
