package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// exchange is one request and its answer.
type exchange struct {
	proxy   *Proxy
	w       http.ResponseWriter
	r       *http.Request
	site    *site.Site // nil: unknown
	scheme  string
	begun   *pending   // what the Loop has done of it; nil: nothing
	broken  site.Claim // of the last try that failed; nil: none has
	err     error      // what it failed of
	start   time.Time
	tries   int    // that failed
	reached bool   // one of them reached a worker
	worker  string // who answered
	body    *spool.Body
	status  int
	sent    int64 // bytes of body
}

// serve answers a request of a known site.
func (e *exchange) serve() {
	e.site.Stats.Begin()
	defer e.site.Stats.End()
	defer e.done()
	admission, ok := e.admit()
	if !ok {
		e.fail(http.StatusTooManyRequests, "max_clients_per_ip", nil)
		return
	}
	defer admission.End()
	if e.serveStatic() {
		return
	}
	var err error
	if e.body, err = e.readBody(); err != nil {
		e.failBody(err)
		return
	}
	defer e.body.Close()
	for e.try() {
		e.r.Header = e.r.Header.Clone() // the attempt before may still be reading it
	}
}

// admit returns the admission of the request, which the loop may have got already.
func (e *exchange) admit() (site.Admission, bool) {
	if e.begun != nil {
		return e.begun.admission, true
	}
	return e.site.Admit(e.clientAddr())
}

// mostTries bounds how often a request goes to a worker that dies before it was sent.
const mostTries = 3

// try claims a worker, sends the request and answers the client. It returns true
// when nothing was answered and the request can be sent once more.
func (e *exchange) try() (again bool) {
	claim, since, err := e.claim()
	if err != nil {
		e.failClaim(err)
		return false
	}
	e.worker = claim.Worker()
	ctx, cancel := e.deadline(since)
	defer cancel()
	resp, err := roundTrip(claim, e.outgoing(ctx))
	if err == nil {
		e.answer(claim, resp, cancel)
		return false
	}
	if errors.Is(err, context.DeadlineExceeded) {
		claim.Abandon()
		claim.Release()
		e.fail(http.StatusGatewayTimeout, "request_timeout", nil)
		return false
	}
	claim.Fail(err)
	e.broken, e.err = claim, err
	if e.mayRepeat(err) {
		return true
	}
	e.fail(http.StatusBadGateway, "the worker gave no answer", err)
	return false
}

// mayRepeat tells whether the request can go to another worker after err: it was not
// sent, or may be sent twice and was only once.
func (e *exchange) mayRepeat(err error) bool {
	e.tries++
	if errors.Is(err, wire.ErrNotSent) {
		return e.tries < mostTries
	}
	first := !e.reached
	e.reached = true
	return first && e.tries < mostTries && idempotent(e.r.Method) && diedEarly(err)
}

// claim returns a worker, and since when it works for this request.
func (e *exchange) claim() (claim site.Claim, since time.Time, err error) {
	begun := e.begun
	e.begun = nil
	switch {
	case begun != nil && begun.direct != nil:
		return begun.direct, begun.sent, nil
	case begun != nil:
		claim, err = begun.claim(e.r.Context())
	case e.broken != nil:
		claim, err = e.again()
	default:
		claim, err = e.site.Backend.Claim(e.r.Context(), e.what())
	}
	if err == nil && context.Cause(e.r.Context()) == errClosed {
		claim.Release() // nothing was sent, and nobody waits
		err = errClosed
	}
	return claim, time.Now(), err
}

// again returns a worker after one that failed.
func (e *exchange) again() (site.Claim, error) {
	claim, err := e.broken.Retry(e.r.Context())
	if err == nil {
		e.site.Log.Warn("request repeated on another worker", "worker", claim.Worker(), "after", e.worker, "request", e.what(), "error", e.err)
	}
	return claim, err
}

// roundTrip refuses statuses that can not be the end of an exchange.
func roundTrip(claim site.Claim, r *http.Request) (*http.Response, error) {
	resp, err := claim.RoundTrip(r)
	if err == nil && (resp.StatusCode < 200 || resp.StatusCode > 999) {
		_ = resp.Body.Close() // the worker is broken either way
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp, err
}

// deadline returns the context that bounds the worker's time. It does not end
// when the client leaves: work that has begun is not undone by that, until its
// answer begins.
func (e *exchange) deadline(since time.Time) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(e.r.Context())
	if e.site.RequestTimeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, since.Add(e.site.RequestTimeout))
}

// outgoing is the request as the worker gets it.
func (e *exchange) outgoing(ctx context.Context) *http.Request {
	r := e.r.WithContext(ctx)
	u := *r.URL
	u.Scheme = e.scheme
	r.URL = &u
	r.Body, r.ContentLength = e.body.Reader(), e.body.Size()
	r.TransferEncoding, r.Trailer = nil, nil // however the body came, its size is known now
	return r
}

func (e *exchange) what() string { return site.WithoutQuery(e.r.Method + " " + e.r.RequestURI) }

// clientAddr returns the address of the client without its port, which differs for
// every connection.
func (e *exchange) clientAddr() string {
	host, _, err := net.SplitHostPort(e.r.RemoteAddr)
	if err != nil {
		return e.r.RemoteAddr
	}
	return host
}

// done counts and logs the exchange.
func (e *exchange) done() {
	if e.r.Method == http.MethodHead {
		e.sent = 0 // net/http swallowed it
	}
	took := time.Since(e.start)
	e.site.Record(e.entry(took))
}

func (e *exchange) entry(took time.Duration) site.Entry {
	return site.Entry{
		Client: e.clientAddr(), Line: e.r.Method + " " + e.r.RequestURI + " " + e.r.Proto, Referer: e.r.Referer(), Agent: e.r.UserAgent(),
		Time: e.start, Took: took, Status: e.status, Bytes: e.sent, Worker: e.worker,
	}
}

// idempotent tells whether a request may be sent twice (RFC 9110, section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
