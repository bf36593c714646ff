package proxy

import (
	"io"
	"net/http"

	"github.com/multisite/multisite/supervisor/static"
)

// serveStatic answers from the site's static directories. It returns false for a request
// that is for a worker. The loop serves files, too: these are the requests that it leaves
// to net/http. A request that the loop has queued is for no file.
func (e *exchange) serveStatic() bool {
	if e.pending != nil && e.pending.Queued() || !e.site.HasStatic(e.r.URL.Path) {
		return false
	}
	found, err := e.proxy.files.Wait(e.r.Context(), e.site, e.r.URL.Path)
	defer found.Release()
	switch {
	case err != nil && e.r.Context().Err() != nil:
		e.clientGone()
	case err != nil:
		e.fail(http.StatusServiceUnavailable, "static", err)
	case found.File != nil:
		e.serveFile(found.File)
	case found.Only:
		e.fail(http.StatusNotFound, "static", nil)
	default:
		return false
	}
	return true
}

func (e *exchange) serveFile(f *static.File) {
	if e.r.Method != http.MethodGet && e.r.Method != http.MethodHead {
		e.w.Header().Set("Allow", "GET, HEAD")
		e.fail(http.StatusMethodNotAllowed, "static", nil)
		return
	}
	static.BoundRanges(e.r.Method, e.r.Header, f.Size)
	e.setWriteDeadline()
	counted := &countingWriter{ResponseWriter: e.w, e: e}
	f.SetFields(counted.Header())
	http.ServeContent(counted, e.r, f.Name, f.Modified, io.NewSectionReader(f, 0, f.Size))
}

// countingWriter notes status and bytes of an answer by http.ServeContent.
type countingWriter struct {
	http.ResponseWriter
	e *exchange
}

func (c *countingWriter) WriteHeader(status int) {
	c.e.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.e.setWriteDeadline()
	n, err := c.ResponseWriter.Write(p)
	c.e.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (c *countingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
