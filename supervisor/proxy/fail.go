package proxy

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// fail answers with a page of our own. limit names in the log what caused it.
func (e *exchange) fail(status int, limit string, err error) {
	e.status = status
	defer e.refused(limit)
	if e.site == nil {
		e.writePage(status)
		return
	}
	args := []any{"status", status, "limit", limit, "host", e.r.Host, "request", e.what()}
	if e.worker != "" {
		args = append(args, "worker", e.worker)
	}
	if err != nil {
		args = append(args, "error", err)
	}
	e.site.Log.Warn("request failed", args...)
	e.writePage(status)
}

func (e *exchange) writePage(status int) {
	e.setWriteDeadline()
	h := e.w.Header()
	for _, f := range errorpage.Fields(status) {
		h.Set(f[0], f[1])
	}
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // or net/http waits for what is left of the body before it answers
	}
	e.w.WriteHeader(status)
	n, _ := e.w.Write(errorpage.Body(status)) // the client may have left
	e.sent = int64(n)
}

// failBody answers a request whose body did not arrive.
func (e *exchange) failBody(err error) {
	switch {
	case errors.Is(err, spool.ErrBodyTooLarge):
		e.fail(http.StatusRequestEntityTooLarge, "max_body", nil)
	case isMalformed(e.r): // net/http ends the context for it, too
		e.fail(http.StatusBadRequest, "request body", err)
	case errors.Is(err, os.ErrDeadlineExceeded): // net/http ends the context for it, too
		e.fail(http.StatusRequestTimeout, "client_timeout", err)
	case e.r.Context().Err() != nil:
		e.clientGone()
	case errors.Is(err, spool.ErrClientBody):
		e.fail(http.StatusBadRequest, "request body", err)
	default:
		e.fail(http.StatusInternalServerError, "spool", err)
	}
}

// failClaim answers a request that got no worker.
func (e *exchange) failClaim(err error) {
	if errors.Is(err, context.Canceled) && e.r.Context().Err() != nil {
		e.clientGone()
	}
	if errors.Is(err, site.ErrDeadly) {
		e.fail(http.StatusBadGateway, site.ErrDeadly.Error(), e.err)
		return
	}
	e.fail(http.StatusServiceUnavailable, "no worker", err)
}

// clientGone ends an exchange that nobody waits for. Who only closed its sending
// side must not take our silence for an empty answer.
func (e *exchange) clientGone() {
	e.status = site.StatusClientGone
	e.abort()
}

// abort cuts the connection: what was sent so far never ends as if it were whole.
func (e *exchange) abort() {
	if !e.r.ProtoAtLeast(1, 1) {
		e.reset() // where the end of the connection may be the end of an answer
	}
	panic(http.ErrAbortHandler)
}

func (e *exchange) reset() {
	conn, _, err := http.NewResponseController(e.w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // Close does what it can
	}
	conn.Close()
}
