package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/static"
	"github.com/multisite/multisite/worker/wire"
)

// The headers with which an application names a file to be sent instead of its answer.
const (
	accelRedirect = "X-Accel-Redirect"
	xSendfile     = "X-Sendfile"
)

// maxUnsent is how much of an answer is read that nobody gets.
const maxUnsent = 1 << 20

// errNoFile is why nothing is sent.
var errNoFile = errors.New("there is no such file, or the site may not read it")

// sendFile sends the file that a worker names instead of its answer. It returns false if
// the worker names none, or the site has no directory for that.
func (e *exchange) sendFile(claim site.Claim, resp *http.Response) bool {
	if len(e.site.Sendfile) == 0 || resp.StatusCode != http.StatusOK {
		return false
	}
	header, resolve := accelRedirect, e.site.SendFile
	if resp.Header[header] == nil {
		header, resolve = xSendfile, e.site.SendPath
	}
	named := resp.Header[header]
	if named == nil {
		return false
	}
	if err := e.endAnswer(claim, resp); err != nil {
		e.fail(http.StatusBadGateway, "the worker gave no answer", err)
		return true
	}
	d, name, err := resolve(named[0])
	if err != nil {
		e.fail(http.StatusInternalServerError, header, err)
		return true
	}
	found, err := e.proxy.files.Wait(e.r.Context(), e.site, static.Wanted{In: d, Path: name})
	defer found.Release()
	switch {
	case err != nil && e.r.Context().Err() != nil:
		e.clientGone()
	case err != nil:
		e.fail(http.StatusServiceUnavailable, header, err)
	case found.File == nil:
		e.fail(http.StatusNotFound, header, fmt.Errorf("%s%s: %w", d.Prefix, name, errNoFile))
	default:
		e.writeFile(found.File, resp.Header)
	}
	return true
}

// endAnswer reads an answer that nobody gets to its end, and releases the worker.
func (e *exchange) endAnswer(claim site.Claim, resp *http.Response) error {
	_, err := io.CopyN(io.Discard, resp.Body, maxUnsent)
	if closeErr := resp.Body.Close(); err == nil || errors.Is(err, io.EOF) {
		err = closeErr
	}
	e.body.Close()
	switch {
	case err == nil:
		claim.Release()
	case errors.Is(err, context.DeadlineExceeded):
		claim.Abandon()
		claim.Release()
	default:
		claim.Fail(err)
	}
	return err
}

// ofContents are the headers of a worker's answer that do not hold for a file.
var ofContents = []string{"Content-Length", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified"}

// writeFile sends a file with the worker's header, but for what the file itself says.
func (e *exchange) writeFile(f *static.File, header http.Header) {
	f.SetFields(e.w.Header())
	h := e.copyHeader(header)
	for _, name := range slices.Concat(wire.ServerHeaders, ofContents) {
		delete(h, name)
	}
	h["Etag"] = []string{f.ETag}
	r := e.r
	if r.Method != http.MethodGet && r.Method != http.MethodHead { // its conditions were for the worker
		r = r.Clone(r.Context())
		r.Method, r.Header = http.MethodGet, http.Header{}
	}
	e.serveContent(f, r)
}
