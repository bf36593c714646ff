package proxy

import (
	"io"
	"net/http"
	"strings"

	"github.com/multisite/multisite/supervisor/static"
)

// serveStatic answers from the site's static directories. It returns false for a request
// that is for a worker. The loop serves files, too: these are the requests that it leaves
// to net/http. A request that the loop has queued is for no file.
func (e *exchange) serveStatic() bool {
	if e.pending != nil && e.pending.Queued() || !e.site.HasStatic(e.r.URL.Path) {
		return false
	}
	found, err := e.proxy.files.Wait(e.r.Context(), e.site, static.Wanted{
		Path: e.r.URL.Path, Accept: strings.Join(e.r.Header["Accept-Encoding"], ","), Plain: e.r.Header["Range"] != nil,
	})
	defer found.Release()
	switch {
	case err != nil && e.r.Context().Err() != nil:
		e.clientGone()
	case err != nil:
		e.fail(http.StatusServiceUnavailable, "static", err)
	case found.File != nil:
		e.serveFile(found.File)
	case found.Location != "":
		e.redirect(found.Location)
	case found.Only:
		e.fail(http.StatusNotFound, "static", nil)
	default:
		return false
	}
	return true
}

// redirect tells the client the path of the directory that it asks for.
func (e *exchange) redirect(path string) {
	if e.r.URL.RawQuery != "" {
		path += "?" + e.r.URL.RawQuery
	}
	h := e.w.Header()
	h["Location"], h["Content-Length"] = []string{path}, []string{"0"}
	e.site.Headers.ApplyTo(h)
	e.setWriteDeadline()
	e.status = http.StatusMovedPermanently
	e.w.WriteHeader(e.status)
}

func (e *exchange) serveFile(f *static.File) {
	if e.r.Method != http.MethodGet && e.r.Method != http.MethodHead {
		e.w.Header().Set("Allow", "GET, HEAD")
		e.fail(http.StatusMethodNotAllowed, "static", nil)
		return
	}
	f.SetFields(e.w.Header())
	e.serveContent(f, e.r)
}

// serveContent answers r with a file, whose header is set.
func (e *exchange) serveContent(f *static.File, r *http.Request) {
	static.BoundRanges(r.Method, r.Header, f.Size)
	e.setWriteDeadline()
	http.ServeContent(&fileWriter{ResponseWriter: e.w, e: e, file: f}, r, f.Name, f.Modified, io.NewSectionReader(f, 0, f.Size))
}

// fileWriter notes status and bytes of an answer by http.ServeContent, and lets the file
// correct its header.
type fileWriter struct {
	http.ResponseWriter
	e    *exchange
	file *static.File
}

func (w *fileWriter) WriteHeader(status int) {
	w.e.status = status
	w.file.EndFields(status, w.Header())
	w.e.site.Headers.ApplyTo(w.Header())
	w.file.Plan().Header(w.Header())
	w.ResponseWriter.WriteHeader(status)
}

func (w *fileWriter) Write(p []byte) (int, error) {
	w.e.setWriteDeadline()
	n, err := w.ResponseWriter.Write(p)
	w.e.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *fileWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
