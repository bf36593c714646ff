package goapp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// idleConns are the idle connections for requests that nobody waits for. Requests that a
// goroutine waits for use those of the transport.
type idleConns struct {
	mu sync.Mutex
	// mu protects all below
	idle   []*wire.Conn // the last used one at the end
	closed bool         // no connection becomes idle any more
}

func (l *idleConns) take() *wire.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle)
	if n == 0 {
		return nil
	}
	c := l.idle[n-1]
	l.idle = l.idle[:n-1]
	return c
}

func (l *idleConns) put(c *wire.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.idle) >= maxIdle {
		c.Close()
		return
	}
	l.idle = append(l.idle, c)
}

func (l *idleConns) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.idle {
		c.Close()
	}
	l.idle = nil
}

// sent is an HTTP/1.1 request that was given to Send; see wire.Sent. One goroutine at a
// time uses it.
type sent struct {
	worker   *Worker
	conn     *wire.Conn // for this request alone; nil: none could be made
	err      error      // why it was not sent; nil: it was sent
	unsent   []byte     // what did not fit into the socket; Await sends it
	head     bool       // it is a HEAD request
	buffered []byte     // what was read of the answer, and not taken
	begun    bool       // Receive has returned the head of the answer
	body     body       // what is missing of the answer then
	pieces   [][]byte   // of the last Receive
	more     bool       // the last read filled its buffer
}

// Send sends a request with X-Forwarded headers about the visitor. It does not wait.
func (w *Worker) Send(h *wire.Head, watcher wire.Watcher) wire.Sent {
	s := &sent{worker: w, head: h.Method == http.MethodHead}
	pieces := [][]byte{appendRequest(make([]byte, 0, 1024), h)}
	if len(h.Body) > 0 {
		pieces = append(pieces, h.Body)
	}
	for {
		s.conn = w.idle.take()
		fresh := s.conn == nil
		if fresh {
			if s.conn, s.err = wire.Dial(context.Background(), w.path); s.err != nil { // which does not wait: it is a unix socket
				s.err = fmt.Errorf("%w: %w", wire.ErrNotSent, s.err)
				return s
			}
		}
		if s.err = s.sendNow(watcher, pieces); s.err == nil || fresh {
			return s
		}
		s.conn.Close() // an idle one, which the worker has closed
	}
}

func (s *sent) sendNow(watcher wire.Watcher, pieces [][]byte) (err error) {
	if s.unsent, err = s.conn.Send(watcher, pieces...); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	return nil
}

// remoteUser is the header that names a user whose password the front door has checked.
const remoteUser = "Remote-User"

func appendRequest(b []byte, h *wire.Head) []byte {
	b = append(b, h.Method...)
	b = append(b, ' ')
	b = append(b, h.URI...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = wire.AppendField(b, "Host", h.Host)
	for _, f := range h.Fields {
		if !isForwarded(f[0]) && (h.User == "" || !strings.EqualFold(f[0], remoteUser)) {
			b = wire.AppendField(b, f[0], f[1])
		}
	}
	if h.Length > 0 || announcesBody(h.Method) {
		b = wire.AppendField(b, "Content-Length", strconv.Itoa(len(h.Body)))
	}
	if h.User != "" {
		b = wire.AppendField(b, remoteUser, h.User)
	}
	b = wire.AppendField(b, "X-Forwarded-For", h.RemoteAddr)
	b = wire.AppendField(b, "X-Forwarded-Proto", h.Scheme)
	b = wire.AppendField(b, "X-Forwarded-Host", h.Host)
	return append(b, "\r\n"...)
}

// announcesBody reports whether the transport, which sends all other requests, gives a
// request without a body a Content-Length.
func announcesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// isForwarded reports whether a header is one that Send sets itself. Its value in the
// request, from the visitor or another proxy, is dropped.
func isForwarded(name string) bool {
	return strings.EqualFold(name, "X-Forwarded-For") || strings.EqualFold(name, "X-Forwarded-Proto") || strings.EqualFold(name, "X-Forwarded-Host")
}

// Outcome says what Send did.
func (s *sent) Outcome() wire.Outcome {
	if s.err != nil || len(s.unsent) > 0 {
		return wire.AwaitOnly
	}
	return wire.Written
}

// FD returns the descriptor of the connection. The request must be Written.
func (s *sent) FD() int { return s.conn.FD() }

// CloseLine does nothing: each request has a connection of its own.
func (s *sent) CloseLine() {}

// HasBuffered reports whether more of the answer may be here.
func (s *sent) HasBuffered() bool { return s.more }

// Recall returns false: there are no followers.
func (s *sent) Recall() bool { return false }

// Await waits for the answer as RoundTrip does. The end of r's context ends the connection,
// and so the request's context in the worker.
func (s *sent) Await(r *http.Request) (*http.Response, error) {
	if s.err != nil {
		_ = s.Close(time.Time{}) // it returns s.err
		return nil, s.err
	}
	f, err := s.conn.Wait()
	s.conn.Close()
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	a := &awaited{ctx: ctx, conn: f}
	a.stop = context.AfterFunc(ctx, func() { f.Close() }) // the worker notices that
	if len(s.unsent) > 0 {
		a.sending.Go(func() { _, _ = f.Write(s.unsent) }) // if it fails, there is no answer, or one without the rest
	}
	br := bufio.NewReader(io.MultiReader(bytes.NewReader(s.buffered), f))
	resp, err := readResponse(br, r)
	if err != nil {
		_ = a.Close()
		return nil, causeOf(ctx, err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && r.Header.Get("Upgrade") != "" {
		unread, _ := br.Peek(br.Buffered()) // it is there
		if err := a.switchProtocols(resp, unread); err != nil {
			_ = a.Close()
			return nil, err
		}
		return resp, nil
	}
	a.ReadCloser = resp.Body
	resp.Body = a
	return resp, nil
}

// readResponse reads an answer. It skips informational ones.
func readResponse(br *bufio.Reader, r *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(br, r)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// Close gives up the request: its context in the worker ends. It does not wait for that.
func (s *sent) Close(time.Time) error {
	if s.conn != nil {
		s.conn.Close()
	}
	return s.err
}

// awaited is the body of an answer. Its Close closes the connection.
type awaited struct {
	io.ReadCloser
	ctx     context.Context
	stop    func() bool
	conn    *os.File
	sending sync.WaitGroup // of the rest of the request
}

func (b *awaited) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = causeOf(b.ctx, err)
	}
	return n, err
}

// Close closes the connection.
func (b *awaited) Close() error {
	b.stop()
	err := b.conn.Close()
	b.sending.Wait()
	return err
}

// causeOf returns the error of ctx, if its end is why a connection failed with err.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
