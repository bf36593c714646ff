package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/multisite/multisite/supervisor/site"
)

// page is what the proxy itself says to a visitor: never anything of the inside.
const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>%[1]d %[2]s</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:18vh auto;padding:0 1.5rem}h1{font-size:1.5rem}</style>
</head><body><h1>%[1]d %[2]s</h1><p>%[3]s</p></body></html>
`

// said is the sentence for each status that the proxy makes itself.
var said = map[int]string{
	http.StatusBadRequest:                  "The request could not be understood.",
	http.StatusNotFound:                    "There is no such page.",
	http.StatusMethodNotAllowed:            "Requests of this kind are not served here.",
	http.StatusRequestTimeout:              "The request took too long to arrive.",
	http.StatusRequestEntityTooLarge:       "What was sent is larger than this site accepts.",
	http.StatusMisdirectedRequest:          "No site of this name is served here.",
	http.StatusTooManyRequests:             "There are too many requests from your address at once. Please try again in a moment.",
	http.StatusRequestHeaderFieldsTooLarge: "The header of the request is larger than this server accepts.",
	http.StatusInternalServerError:         "The server could not answer this request.",
	http.StatusNotImplemented:              "Requests of this kind are not understood here.",
	http.StatusHTTPVersionNotSupported:     "Requests of this version of HTTP are not understood here.",
	http.StatusBadGateway:                  "The site broke off while it answered. Please try again.",
	http.StatusServiceUnavailable:          "The site can not answer just now. Please try again in a moment.",
	http.StatusGatewayTimeout:              "The site took too long to answer.",
}

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
	for _, f := range pageFields(status) {
		h.Set(f[0], f[1])
	}
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // or net/http waits for what is left of the body before it answers
	}
	e.w.WriteHeader(status)
	n, _ := e.w.Write(pageOf(status)) // the client may have left
	e.sent = int64(n)
}

func pageOf(status int) []byte {
	return fmt.Appendf(nil, page, status, http.StatusText(status), said[status])
}

func pageFields(status int) [][2]string {
	fields := [][2]string{
		{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"},
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		fields = append(fields, [2]string{"Retry-After", "5"})
	}
	return fields
}

// failBody answers a request whose body did not arrive.
func (e *exchange) failBody(err error) {
	switch {
	case errors.Is(err, errBodyTooLarge):
		e.fail(http.StatusRequestEntityTooLarge, "max_body", nil)
	case isMalformed(e.r): // net/http ends the context for it, too
		e.fail(http.StatusBadRequest, "request body", err)
	case errors.Is(err, os.ErrDeadlineExceeded): // net/http ends the context for it, too
		e.fail(http.StatusRequestTimeout, "client_timeout", err)
	case e.r.Context().Err() != nil:
		e.clientGone()
	case errors.Is(err, errClientBody):
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
