package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// maxTries bounds how often a request is sent to workers that exit before it reached them.
const maxTries = 3

// errClosed is why a request ends that waited for a worker when the server was closed.
var errClosed = fmt.Errorf("the front door closes: %w", context.Canceled)

// serve answers a request of a known site.
func (e *exchange) serve() {
	e.site.Stats.Begin()
	defer e.site.Stats.End()
	defer e.record()
	if e.site.HSTS > 0 && e.scheme == "https" {
		e.w.Header().Set("Strict-Transport-Security", e.site.StrictTransport()) // a worker's own replaces it
	}
	var ok bool
	if e.admission, ok = e.admit(); !ok {
		e.fail(http.StatusTooManyRequests, "max_clients_per_ip", nil)
		return
	}
	defer e.admission.End()
	if e.site.Rules != nil && !e.judge() {
		return
	}
	if e.serveStatic() {
		return
	}
	var err error
	if e.body, err = e.readBody(); err != nil {
		e.failBody(err)
		return
	}
	defer e.body.Close()
	if e.asksForTunnel() {
		if !e.site.Tunnels.Enter(e.site.MaxTunnels) {
			e.fail(http.StatusServiceUnavailable, "max_tunnels", nil)
			return
		}
		defer e.leaveTunnels()
	}
	for e.try() {
		e.r.Header = e.r.Header.Clone() // the try before may still be reading it
	}
}

// admit returns the admission of the request, which the loop may have got already.
func (e *exchange) admit() (site.Admission, bool) {
	if e.pending != nil {
		return e.pending.Admission, true
	}
	return e.site.Admit(e.clientAddr())
}

// try claims a worker, sends the request and answers the client. It returns true
// if nothing was answered and the request can be sent once more.
func (e *exchange) try() (again bool) {
	claim, since, err := e.claim()
	if err != nil {
		e.failClaim(err)
		return false
	}
	e.worker, e.got = claim.Worker(), since
	ctx, cancel := e.deadline(since)
	defer cancel()
	resp, err := e.roundTrip(claim, e.toWorker(ctx))
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusSwitchingProtocols:
		e.switchProtocols(claim, resp)
		return false
	default:
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
	e.failed, e.err = claim, err
	if e.mayRepeat(err) {
		return true
	}
	e.fail(http.StatusBadGateway, "the worker gave no answer", err)
	return false
}

// mayRepeat reports whether the request can go to another worker after err: it was not
// sent, or is idempotent and was sent only once.
func (e *exchange) mayRepeat(err error) bool {
	e.tries++
	if errors.Is(err, wire.ErrNotSent) {
		return e.tries < maxTries
	}
	first := !e.reached
	e.reached = true
	return first && e.tries < maxTries && idempotent(e.r.Method) && diedEarly(err)
}

// claim returns a worker, and since when it works for this request.
func (e *exchange) claim() (claim site.Claim, since time.Time, err error) {
	pending := e.pending
	e.pending = nil
	if e.asked.IsZero() {
		e.asked = time.Now()
	}
	switch {
	case pending != nil && pending.Direct != nil:
		return pending.Direct, pending.Sent, nil
	case pending != nil && pending.Queued():
		claim, err = pending.Claim(e.r.Context())
	case e.failed != nil:
		claim, err = e.retry()
	default:
		claim, err = e.site.Backend.Claim(e.r.Context(), e.what())
	}
	if err == nil && context.Cause(e.r.Context()) == errClosed {
		claim.Release() // nothing was sent, and nobody waits
		err = errClosed
	}
	return claim, time.Now(), err
}

// retry claims a worker after one that failed.
func (e *exchange) retry() (site.Claim, error) {
	claim, err := e.failed.Retry(e.r.Context())
	if err == nil {
		e.site.Log.Warn("request repeated on another worker", "worker", claim.Worker(), "after", e.worker, "request", e.what(), "error", e.err)
	}
	return claim, err
}

// roundTrip refuses statuses that cannot be the end of an exchange.
func (e *exchange) roundTrip(claim site.Claim, r *http.Request) (*http.Response, error) {
	resp, err := claim.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, e.checkSwitch(resp)
	}
	if err == nil && (resp.StatusCode < 200 || resp.StatusCode > 999) {
		_ = resp.Body.Close() // the worker has failed either way
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp, err
}

// deadline returns the context that bounds the worker's time. Until the answer begins it
// does not end when the client disconnects, since that would not undo the worker's work.
func (e *exchange) deadline(since time.Time) (context.Context, context.CancelFunc) {
	ctx := context.WithoutCancel(e.r.Context())
	if e.site.RequestTimeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, since.Add(e.site.RequestTimeout))
}

// toWorker returns the request as the worker gets it.
func (e *exchange) toWorker(ctx context.Context) *http.Request {
	r := e.r.WithContext(ctx)
	u := *r.URL
	u.Scheme = e.scheme
	if u.User = nil; e.user != "" {
		u.User = url.User(e.user)
	}
	r.URL = &u
	r.Body, r.ContentLength = e.body.Reader(), e.body.Size()
	r.TransferEncoding, r.Trailer = nil, nil // the size of the body is known by now, however it came
	if e.upgrade != "" {
		r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{e.upgrade}
	}
	return r
}

// record counts and logs the exchange.
func (e *exchange) record() {
	if e.tunnel {
		return
	}
	if e.r.Method == http.MethodHead {
		e.sent = 0 // net/http has discarded the body
	}
	entry := e.entry(time.Since(e.start))
	if e.header != nil && e.user == "" {
		e.site.CountPageOf(e.r, e.status, e.header, entry.Took, e.sent)
	}
	e.site.Record(&entry)
}

// idempotent reports whether a request may be sent twice (RFC 9110, section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// diedEarly reports whether err means that the worker's end of the connection is closed.
func diedEarly(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
