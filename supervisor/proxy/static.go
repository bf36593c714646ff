package proxy

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Static maps a URL prefix to directories. The first that has a file wins.
type Static struct {
	Prefix string // "/static/"
	Dirs   []string
	// Only says that what is not found here is not asked of a worker.
	Only bool
	// As runs a function with the rights of the site's user; nil: with ours. A site
	// may name any directory as its own.
	As func(func()) error
}

// open opens a file below dir; a symbolic link that leads out of it is not followed.
func (s Static) open(dir, name string) (f *os.File, err error) {
	open := func() {
		var root *os.Root
		if root, err = os.OpenRoot(dir); err != nil {
			return
		}
		defer root.Close()
		f, err = root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // or a named pipe would hold us
	}
	if s.As == nil {
		open()
		return f, err
	}
	if asErr := s.As(open); asErr != nil {
		return nil, asErr
	}
	return f, err
}

// hasStatic tells whether a path may be a file of the site.
func (s *Site) hasStatic(path string) bool {
	return slices.ContainsFunc(s.Static, func(d Static) bool { return strings.HasPrefix(path, d.Prefix) })
}

// serveStatic answers from the site's static directories. False: not a file of theirs.
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

func (e *exchange) serveFrom(s Static, name string) bool {
	if strings.HasSuffix(name, "/") {
		return false
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" || hidden(name) || e.r.Method != http.MethodGet && e.r.Method != http.MethodHead {
		return false
	}
	for _, dir := range s.Dirs {
		if e.serveFile(s, dir, name) {
			return true
		}
	}
	return false
}

// serveFile serves a regular file below dir.
func (e *exchange) serveFile(s Static, dir, name string) bool {
	f, err := s.open(dir, name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	e.setWriteDeadline()
	counted := &countingWriter{ResponseWriter: e.w, e: e}
	counted.Header().Set("X-Content-Type-Options", "nosniff")
	counted.Header().Set("Etag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(counted, e.r, name, info.ModTime(), f)
	return true
}

// hidden tells whether a path has an element that begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// countingWriter notes status and bytes of what net/http answers for us.
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
