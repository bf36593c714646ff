package proxy

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/supervisor/static"
)

// fail answers with an error page. limit names in the log what caused it.
func (e *exchange) fail(status int, limit string, err error) {
	e.status = status
	defer e.logRefusal(limit)
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
	s := e.site
	if s == nil {
		s = &site.Site{}
	}
	e.write(s.Answer(&rules.Answer{Status: status}, e.r.Method == http.MethodHead))
}

// answerOptions answers OPTIONS *.
func (e *exchange) answerOptions() {
	h := e.w.Header()
	h.Set("Allow", errorpage.AllowedMethods)
	h.Set("Content-Length", "0")
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // as in writePage
	}
	e.setWriteDeadline()
	e.w.WriteHeader(http.StatusOK)
}

// logRefusal reports a failure to the front door's own log, if it is the front door's.
func (e *exchange) logRefusal(limit string) {
	if e.proxy.refused == nil || e.site != nil && !isRefusal(e.status) {
		return
	}
	r := site.Refusal{Entry: e.entry(time.Since(e.start)), Host: e.r.Host, Why: limit}
	if e.site != nil {
		r.Site = e.site.Name
	}
	e.proxy.refused(r)
}

// isRefusal reports whether a status means a limit of a site, not its failure.
func isRefusal(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return false
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
	if errors.Is(err, static.ErrSlow) {
		e.fail(http.StatusServiceUnavailable, "static", err)
		return
	}
	e.fail(http.StatusServiceUnavailable, "no worker", err)
}

// clientGone ends an exchange that nobody waits for. The connection is cut, because a
// client that has closed only its sending side must not see an empty answer.
func (e *exchange) clientGone() {
	e.status = site.StatusClientGone
	e.abort()
}

// abort cuts the connection, so that a truncated answer never ends as if it were whole.
func (e *exchange) abort() {
	if !e.r.ProtoAtLeast(1, 1) {
		e.reset() // the end of a connection may be the end of an answer in HTTP/1.0
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
