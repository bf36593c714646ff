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

// Options are the settings of a Client. Only Socket is needed.
type Options struct {
	Socket     string
	ScriptName string            // where the site is mounted; "" or "/sub"
	Params     map[string]string // sent with every request
	Packed     bool              // the worker is our own: it reads packed parameters, and knows Params and ScriptName
	Threads    int               // of the worker: there are never more connections to it; 0: 1
	Stderr     func(line string) // what FCGI_STDERR records say
	Log        *slog.Logger      // nil: nobody reads it
}

// Client sends requests to one worker process. It has no more connections than that
// has threads: one too many would wait for a thread that waits on another one.
type Client struct {
	opts    Options
	params  []byte    // Options.Params, encoded
	buffers sync.Pool // of *[readBuffer]byte, for those that wait

	mu sync.Mutex
	// mu protects all below
	open   map[*conn]bool // all connections
	idle   []*conn        // last used last
	busy   *conn          // has requests that nobody waits for; nil: none has
	closed bool
}

// NewClient returns a Client that has not connected yet.
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

// Probe opens a connection, to which an idle one gives way, and returns when the worker
// answers on it (FCGI_GET_VALUES, section 4.1). The connection is kept for requests.
func (c *Client) Probe(ctx context.Context) error {
	c.giveWay()
	cn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	if err := cn.wait(); err != nil {
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

// giveWay closes an idle connection, if there is one.
func (c *Client) giveWay() {
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

// RoundTrip sends r and returns the answer once its header is read. The context
// bounds the whole exchange by its deadline alone: work that a worker has begun
// goes on when the client has left. r.Body must be readable without waiting for
// a client, and is not closed.
//
// The caller must close the Body. When Close returns nil, the worker is free.
// After an error, and after Close, r.Body is the caller's again.
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

// Close closes the idle connections, and every other one when its request ends.
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

// takeLocked returns the idle connection that was used last; nil: there is none.
func (c *Client) takeLocked() *conn {
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	cn := c.idle[n-1]
	c.idle = c.idle[:n-1]
	return cn
}

// waited takes note that nobody sends on a connection without waiting any more.
func (c *Client) waited(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == cn {
		c.busy = nil
	}
}

// rested keeps a connection that nobody has waited on and that has no request any more.
func (c *Client) rested(cn *conn) {
	c.waited(cn)
	c.keep(cn)
}

// put keeps a connection that somebody has waited on.
func (c *Client) put(cn *conn) {
	cn.rest()
	c.keep(cn)
}

// keep makes a connection idle that can have another request, and closes any other.
func (c *Client) keep(cn *conn) {
	c.mu.Lock()
	kept := !c.closed && !cn.once && !cn.spoilt
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
	err := c.enter(cn)
	if err != nil {
		return nil, err
	}
	if cn.bare, err = wire.Dial(ctx, c.opts.Socket); err != nil {
		c.left(cn)
		return nil, err
	}
	if c.opts.Packed {
		cn.greet()
	}
	return cn, nil
}

// enter counts a connection that is about to be made. Each of those that are open has a
// thread, or a request that will: who sends more at once is mistaken, and is refused.
func (c *Client) enter(cn *conn) error {
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

func (c *Client) left(cn *conn) {
	c.mu.Lock()
	delete(c.open, cn)
	c.mu.Unlock()
}

// reopen is called after a request was given up: it waits until the worker
// serves a new connection, which tells that it has left the old request.
func (c *Client) reopen(deadline time.Time) error {
	ctx := context.Background()
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	if err := c.Probe(ctx); err != nil {
		return fmt.Errorf("wait for the worker to leave an abandoned request: %w", connError(err))
	}
	return nil
}

// connError names a passed deadline as contexts do, and both ways in which the
// kernel tells that the worker is gone as io.ErrUnexpectedEOF.
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
