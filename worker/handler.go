package worker

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// handler counts requests, and answers 500 for a handler that panics. net/http would close
// the connection, which the front door takes for a worker that died.
type handler struct {
	app http.Handler // does not change

	mu sync.Mutex
	// mu protects all below
	requests int64                 // how many were begun
	running  map[*tracked]struct{} // those that are not answered yet; nil before the first
	hijacked sync.WaitGroup        // connections that an app has hijacked, and has not closed
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := &tracked{ResponseWriter: w, handler: h, client: r.Context(), since: time.Now()}
	h.begin(t)
	defer h.end(t)
	defer t.recover(r)
	h.app.ServeHTTP(t, r)
}

func (h *handler) begin(t *tracked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		h.running = map[*tracked]struct{}{}
	}
	h.requests++
	h.running[t] = struct{}{}
}

func (h *handler) end(t *tracked) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, t)
}

func (h *handler) stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Requests: h.requests, Active: int64(len(h.running)), Goroutines: runtime.NumGoroutine()}
}

// stuck counts the requests that have run for at least age although nobody waits for their
// answers any more.
func (h *handler) stuck(age time.Duration) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range h.running {
		if t.client.Err() != nil && time.Since(t.since) >= age {
			n++
		}
	}
	return n
}

// tracked is a ResponseWriter that knows whether the answer has begun. It has every method
// of net/http's own HTTP/1 writer that apps look for.
type tracked struct {
	http.ResponseWriter

	handler *handler // does not change

	// These do not change; handler.stuck reads them from another goroutine.
	client context.Context // ends when nobody waits for the answer any more
	since  time.Time       // when the request was begun

	begun bool // the answer has begun; only the handler's goroutine uses it
}

// recover turns a panic into a 500. If the answer has begun already, it closes the
// connection, so that nobody takes a truncated answer for a complete one.
func (t *tracked) recover(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler {
		log.Printf("panic serving %s %s: %v\n%s", r.Method, r.URL.Path, v, debug.Stack())
	}
	if t.begun || v == http.ErrAbortHandler {
		panic(http.ErrAbortHandler)
	}
	clear(t.Header())
	http.Error(t.ResponseWriter, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
}

func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tracked) WriteHeader(status int) {
	t.begun = t.begun || status >= 200 || status == http.StatusSwitchingProtocols
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(p []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(p)
}

func (t *tracked) WriteString(s string) (int, error) {
	t.begun = true
	return io.WriteString(t.ResponseWriter, s)
}

func (t *tracked) ReadFrom(src io.Reader) (int64, error) {
	t.begun = true
	return io.Copy(t.ResponseWriter, src)
}

func (t *tracked) Flush() {
	t.begun = true
	_ = http.NewResponseController(t.ResponseWriter).Flush() // Flusher has no error
}

// Hijack gives the app the connection. The worker does not exit before it is closed.
func (t *tracked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	t.begun = true
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.handler.hijacked.Add(1)
	h := &hijacked{Conn: conn, closed: sync.OnceFunc(t.handler.hijacked.Done)}
	if unix, ok := conn.(*net.UnixConn); ok {
		return &hijackedUnix{unix, h}, rw, nil
	}
	return h, rw, nil
}

// hijacked is a connection that tells when it is closed.
type hijacked struct {
	net.Conn
	closed func()
}

func (c *hijacked) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// hijackedUnix is a hijacked connection with the methods that a unix socket has beside those
// of a net.Conn, such as CloseWrite.
type hijackedUnix struct {
	*net.UnixConn
	hijacked *hijacked
}

func (c *hijackedUnix) Close() error { return c.hijacked.Close() }
