package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

// wholeBody is a response body that reports whether it has arrived completely: then its
// worker is free already.
type wholeBody interface{ Complete() bool }

// answer passes the worker's answer on to the client. cancel tells the worker that the
// rest is not wanted, if it listens to that.
func (e *exchange) answer(claim site.Claim, resp *http.Response, cancel func()) {
	if e.sendFile(claim, resp) {
		return
	}
	h := e.takeHeader(resp)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http guesses one
	}
	e.status, e.header = resp.StatusCode, h
	e.setReason(resp)
	e.planCoding(h)
	if whole, ok := resp.Body.(wholeBody); ok && whole.Complete() {
		claim.Release()
		e.came = time.Now()
		e.writeWhole(resp)
		return
	}
	e.writeSpooled(claim, resp, cancel)
}

// takeHeader gives the client's answer the header of the worker's.
func (e *exchange) takeHeader(resp *http.Response) http.Header {
	h := e.copyHeader(resp.Header)
	e.withhold(h)
	e.site.Headers.ApplyTo(h)
	return h
}

// copyHeader adds what is for the front door, too.
func (e *exchange) copyHeader(header http.Header) http.Header {
	h := e.w.Header()
	id := h[httphead.RequestID]
	for name, values := range header {
		h[name] = values
	}
	h[httphead.RequestID] = id // what the access log has counts
	httphead.StripHop(h)
	return h
}

// withhold drops headers that are not for the client. It warns once, since the
// application expects something of them.
func (e *exchange) withhold(h http.Header) {
	for _, name := range wire.ServerHeaders {
		paths, ok := h[name]
		if !ok {
			continue
		}
		delete(h, name)
		e.site.Stats.OnceWithheld(func() {
			e.site.Log.Warn("header dropped: files are sent for an application only with the key sendfile and status 200",
				"header", name, "path", paths[0], "request", e.what(), "worker", e.worker)
		})
	}
}

// setReason passes on the reason phrase that the worker gave its status. net/http writes
// the standard's phrase alone, which the connection replaces (detachedConn.Write). Where
// net/http itself accepted the connection, the standard's stays.
func (e *exchange) setReason(resp *http.Response) {
	_, reason, _ := strings.Cut(resp.Status, " ")
	if reason == "" || reason == http.StatusText(resp.StatusCode) || !httpguts.ValidHeaderFieldValue(reason) {
		return
	}
	if c := detachedOf(e.r); c != nil {
		c.reason = reason
	}
}

// writeWhole writes an answer that is in memory.
func (e *exchange) writeWhole(resp *http.Response) {
	defer resp.Body.Close()
	body, err := e.encodeWhole(resp.Body)
	if err != nil {
		e.abort()
	}
	e.setWriteDeadline()
	e.w.WriteHeader(resp.StatusCode)
	n, err := e.proxy.store.Copy(e.w, body)
	e.sent = n
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		e.abort() // the client has left, or the answer is truncated
	}
}

// writeSpooled writes an answer while it arrives. A goroutine takes it from the
// worker as fast as it arrives, whatever the client does.
func (e *exchange) writeSpooled(claim site.Claim, resp *http.Response, cancel func()) {
	s := e.proxy.store.NewSpool()
	defer s.Close()
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		e.pump(claim, resp.Body, s)
	}()
	defer func() { <-pumped }()
	stopPump := func() {
		s.Cancel()
		cancel()
	}
	defer stopPump()
	stop := context.AfterFunc(e.r.Context(), stopPump)
	defer stop()

	if c := detachedOf(e.r); c != nil {
		_ = c.SetUnsent(fastloop.MaxUnsent) // it works without
	}
	e.plan.Header(e.w.Header())
	e.setWriteDeadline()
	e.w.WriteHeader(resp.StatusCode)
	if err := e.copySpool(s); err != nil {
		e.abort()
	}
}

// copySpool writes what the spool holds, and flushes whenever it has to wait.
func (e *exchange) copySpool(s *spool.Spool) error {
	rc := http.NewResponseController(e.w)
	for {
		p, err := s.Next(func() { _ = rc.Flush() }) // a failed flush fails the next write
		if p = p[:min(len(p), spool.CopySize)]; len(p) > 0 {
			e.setWriteDeadline()
			w, werr := e.w.Write(p)
			s.Take(len(p))
			e.sent += int64(w)
			if werr == http.ErrBodyNotAllowed { // 204, 304: nobody wants it
				return nil
			}
			if werr != nil {
				return spool.ErrCancelled
			}
		}
		if err == io.EOF {
			e.setWriteDeadline() // for the end, which may come long after the last piece
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// pump moves the answer from the worker to the spool, then releases the worker.
func (e *exchange) pump(claim site.Claim, body io.ReadCloser, s *spool.Spool) {
	to, end := e.encodeTo(s)
	err := end(fastloop.Pump(e.proxy.store, to, body, claim, e.site.Log, e.what()))
	e.came = time.Now()
	e.body.Close() // the worker has read it, or does not want it
	s.Finish(err)
}
