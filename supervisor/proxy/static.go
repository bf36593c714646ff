package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/multisite/multisite/supervisor/site"
)

// openStatic opens a file below dir, with the rights of the site. It follows no symbolic
// link that leads out of dir.
func openStatic(s site.Static, dir, name string) (f *os.File, err error) {
	open := func() { f, err = openBelow(dir, name) }
	if s.As == nil {
		open()
		return f, err
	}
	if asErr := s.As(open); asErr != nil {
		return nil, asErr
	}
	return f, err
}

func openBelow(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	const flags = os.O_RDONLY | syscall.O_NONBLOCK // or opening a named pipe would wait
	f, err := root.OpenFile(name, flags, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if real, ok := realName(dir, name); ok { // a Root follows no absolute link
		return root.OpenFile(real, flags, 0)
	}
	return nil, err
}

// realName returns the name that a file below dir has there without symbolic links.
func realName(dir, name string) (real string, ok bool) {
	whole, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		return "", false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", false
	}
	real, err = filepath.Rel(dir, whole)
	return real, err == nil && filepath.IsLocal(real)
}

// serveStatic answers from the site's static directories. It returns false for a request
// that is for a worker.
func (e *exchange) serveStatic() bool {
	for _, s := range e.site.Static {
		rest, ok := strings.CutPrefix(e.r.URL.Path, s.Prefix)
		if !ok {
			continue
		}
		if e.serveFrom(s, rest) {
			return true
		}
		if s.Only {
			e.fail(http.StatusNotFound, "static", nil)
			return true
		}
	}
	return false
}

func (e *exchange) serveFrom(s site.Static, name string) bool {
	if strings.HasSuffix(name, "/") {
		return false
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" || hidden(name) {
		return false
	}
	for _, dir := range s.Dirs {
		if e.serveFile(s, dir, name) {
			return true
		}
	}
	return false
}

// serveFile serves a regular file below dir. It returns false if there is none.
func (e *exchange) serveFile(s site.Static, dir, name string) bool {
	f, err := openStatic(s, dir, name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	switch e.r.Method {
	case http.MethodGet:
		e.boundRanges(info.Size())
	case http.MethodHead:
		delete(e.r.Header, "Range") // RFC 9110, section 14.2: for GET alone
	default:
		e.w.Header().Set("Allow", "GET, HEAD")
		e.fail(http.StatusMethodNotAllowed, "static", nil)
		return true
	}
	e.setWriteDeadline()
	counted := &countingWriter{ResponseWriter: e.w, e: e}
	counted.Header().Set("X-Content-Type-Options", "nosniff")
	counted.Header().Set("Etag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(counted, e.r, name, info.ModTime(), f)
	return true
}

const (
	maxRanges  = 16      // of a file, in one answer
	rangeWorth = 1 << 10 // bytes of the file for each range: its header in the answer takes less
)

// boundRanges drops a Range header that net/http would not understand, or that is more
// work than the whole file of this size (RFC 9110, section 14.2). net/http itself answers
// with the whole file if the ranges together are larger.
func (e *exchange) boundRanges(size int64) {
	wanted := e.r.Header["Range"]
	if len(wanted) == 0 {
		return
	}
	unit, ranges, _ := strings.Cut(wanted[0], "=")
	n := strings.Count(ranges, ",") + 1
	if len(wanted) > 1 || !strings.EqualFold(unit, "bytes") || n > maxRanges || n > 1 && int64(n) > size/rangeWorth {
		delete(e.r.Header, "Range")
		return
	}
	wanted[0] = "bytes=" + ranges
}

// hidden reports whether a path has an element that begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
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
