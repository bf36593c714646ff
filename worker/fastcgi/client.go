package fastcgi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

var errTooMany = errors.New("a connection for each of the worker's threads is open")

// Options are the settings of a Client. Only Socket is required.
type Options struct {
	Socket     string            // path of the worker's socket
	ScriptName string            // where the site is mounted; "" or "/sub"
	Params     map[string]string // sent with every request
	Packed     bool              // the worker is our own: it reads packed parameters, and knows Params and ScriptName
	Threads    int               // of the worker, and the most connections to it; 0: 1
	Stderr     func(line string) // gets each line of FCGI_STDERR records; nil: they are dropped
	Log        *slog.Logger      // nil: discard
}

// Client sends requests to one worker process. It never has more connections than the
// worker has threads: one too many would wait for a thread that serves another one. All
// methods may be called concurrently.
type Client struct {
	// These do not change after NewClient.
	opts   Options
	params []byte // Options.Params, encoded

	buffers sync.Pool // of *[readBuffer]byte, for connections that are waited on

	mu sync.Mutex
	// mu protects all below
	open   map[*conn]bool // all connections, also those that are being made
	idle   []*conn        // connections without a request, the last used one at the end
	busy   *conn          // the connection whose line takes followers; nil: there is none
	closed bool           // Close was called: no connection becomes idle
}

// NewClient returns a Client. It does not connect yet.
func NewClient(o Options) *Client {
	c := &Client{opts: o, open: map[*conn]bool{}}
	c.buffers.New = func() any { return new([readBuffer]byte) }
	for name, value := range o.Params {
		c.params = appendPair(c.params, name, value)
	}
	if c.opts.Stderr == nil {
		c.opts.Stderr = func(string) {}
	}
	c.opts.Threads = cmp.Or(o.Threads, 1)
	c.opts.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return c
}

// Probe opens a connection and returns when the worker answers on it (FCGI_GET_VALUES,
// section 4.1). An idle connection is closed first, to keep to the number of threads. The
// new connection is kept for requests.
func (c *Client) Probe(ctx context.Context) error {
	c.closeOneIdle()
	cn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	if err := cn.startWaiting(); err != nil {
		cn.close()
		return err
	}
	nc := cn.nc
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err = cn.probe()
	if !stop() {
		cn.close()
		return context.Cause(ctx)
	}
	if err != nil {
		cn.close()
		return connError(err)
	}
	c.put(cn)
	return nil
}

// closeOneIdle closes the idle connection that was used last, if there is one.
func (c *Client) closeOneIdle() {
	c.mu.Lock()
	var cn *conn
	if n := len(c.idle); n > 0 {
		cn, c.idle = c.idle[n-1], c.idle[:n-1]
	}
	c.mu.Unlock()
	if cn != nil {
		cn.close()
	}
}

// RoundTrip sends r and returns the answer once its header is read. Only the deadline of
// the context bounds the exchange, not its cancellation: what a worker has begun goes on
// when the visitor has left. r.Body must be readable without waiting for a visitor, and
// is not closed.
//
// The caller must close the answer's Body. When that returns nil, the worker is free.
// After an error, and after Close, r.Body belongs to the caller again.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	cn, err := c.get(r.Context())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	deadline, _ := r.Context().Deadline()
	resp, err := cn.roundTrip(r, deadline)
	if err != nil {
		cn.close()
		return nil, connError(err)
	}
	return resp, nil
}

// Close closes the idle connections now, and every other one when its request ends.
func (c *Client) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, cn := range idle {
		cn.close()
	}
}

// get returns an idle connection, or a new one.
func (c *Client) get(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	cn := c.takeLocked()
	c.mu.Unlock()
	if cn == nil {
		return c.dial(ctx)
	}
	return cn, nil
}

// takeLocked takes the idle connection that was used last; nil: there is none.
func (c *Client) takeLocked() *conn {
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	cn := c.idle[n-1]
	c.idle = c.idle[:n-1]
	return cn
}

// clearBusy ends the sending of followers on a connection.
func (c *Client) clearBusy(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == cn {
		c.busy = nil
	}
}

// lineDone keeps a connection whose line has no request left.
func (c *Client) lineDone(cn *conn) {
	c.clearBusy(cn)
	cn.Vacate()
	c.keep(cn)
}

// put keeps a connection that a goroutine has waited on.
func (c *Client) put(cn *conn) {
	cn.stopWaiting()
	c.keep(cn)
}

// keep makes a connection idle, or closes it if it must not have another request.
func (c *Client) keep(cn *conn) {
	c.mu.Lock()
	kept := !c.closed && !cn.memory && !cn.noReuse
	if kept {
		c.idle = append(c.idle, cn)
	}
	c.mu.Unlock()
	if !kept {
		cn.close()
	}
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	cn := &conn{client: c}
	err := c.admit(cn)
	if err != nil {
		return nil, err
	}
	if cn.bare, err = wire.Dial(ctx, c.opts.Socket); err != nil {
		c.forget(cn)
		return nil, err
	}
	if c.opts.Packed {
		cn.greet()
	}
	return cn, nil
}

// admit counts a connection that is about to be made. It refuses one too many, which is a
// mistake of the caller: see the package comment.
func (c *Client) admit(cn *conn) error {
	c.mu.Lock()
	n := len(c.open)
	if n < c.opts.Threads {
		c.open[cn] = true
	}
	c.mu.Unlock()
	if n < c.opts.Threads {
		return nil
	}
	c.opts.Log.Error("more requests at once than the worker has threads", "socket", c.opts.Socket, "threads", c.opts.Threads)
	return errTooMany
}

// forget is the opposite of admit.
func (c *Client) forget(cn *conn) {
	c.mu.Lock()
	delete(c.open, cn)
	c.mu.Unlock()
}

// reopen is called after a request was given up. It waits until the worker serves a new
// connection, since then the worker has finished with the old request.
func (c *Client) reopen(deadline time.Time) error {
	ctx := context.Background()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if err := c.Probe(ctx); err != nil {
		return fmt.Errorf("wait for the worker to finish an abandoned request: %w", connError(err))
	}
	return nil
}

// connError returns the error of a connection as callers expect it: a passed deadline is
// context.DeadlineExceeded, and both errors that mean that the worker is gone are
// io.ErrUnexpectedEOF.
func connError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, wire.ErrNotSent):
		return err
	case err == io.EOF, errors.Is(err, syscall.ECONNRESET):
		return io.ErrUnexpectedEOF
	}
	return err
}
