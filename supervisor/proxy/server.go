package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/tunnel"
)

// Server serves a Proxy on any number of listeners: a fastloop.Loop, and net/http for
// what the loop detaches. Any goroutine may call its methods.
type Server struct {
	proxy    *Proxy
	loop     *fastloop.Loop
	http     *http.Server
	detached *listener               // of http
	cut      context.CancelCauseFunc // ends the contexts of all requests that net/http has
	start    sync.Once               // starts loop and http

	mu sync.Mutex
	// mu protects all below
	http2  *http2Side
	closed bool // Shutdown or Close was called
}

// NewServer returns a server for the proxy, with the limits that every client meets.
func (p *Proxy) NewServer() (*Server, error) {
	s := &Server{proxy: p, http: p.newHTTPServer(), detached: newListener()}
	loop, err := fastloop.New(fastloop.Options{
		Lookup: p.table.Lookup, Detach: s.detach, TLS: p.tls, HTTP2: s.serveHTTP2, Covers: p.covers,
		TrustedProxies: p.trusted, Timeouts: p.timeouts, Limits: p.limits, Store: p.store, Files: p.files, Log: p.log, Refused: p.refused,
	})
	if err != nil {
		return nil, err
	}
	s.loop = loop
	var open context.Context
	open, s.cut = context.WithCancelCause(context.Background())
	s.http.BaseContext = func(net.Listener) context.Context { return open }
	s.http.ConnContext = withDetached
	s.http.ConnState = s.noteState
	s.http2 = s.newHTTP2Side()
	return s, nil
}

func (p *Proxy) newHTTPServer() *http.Server {
	return &http.Server{
		Handler:                      p,
		ReadHeaderTimeout:            p.timeouts.Header,
		IdleTimeout:                  p.timeouts.Idle,
		MaxHeaderBytes:               httphead.MaxLength,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
}

// detach gives net/http a connection that the loop has detached.
func (s *Server) detach(d *fastloop.Detached) {
	c := newDetachedConn(s.loop, d)
	s.loop.Conns().Note(c, http.StateNew)
	s.detached.put(c)
}

// noteState is called by net/http when the state of a connection changes.
func (s *Server) noteState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*detachedConn); ok && state == http.StateIdle {
		c.answered = true
		return // it is under way until the loop has it
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	s.loop.Conns().Note(conn, state)
}

// Serve accepts connections on l until Shutdown or Close, and returns
// http.ErrServerClosed then. The listener stays the caller's.
func (s *Server) Serve(l net.Listener) error {
	s.begin()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return s.http.Serve(l)
	}
	if err := s.loop.Listen(tcp); err != nil {
		return err
	}
	<-s.loop.Done()
	return http.ErrServerClosed
}

func (s *Server) begin() {
	s.start.Do(func() {
		go s.loop.Run()
		go func() { _ = s.http.Serve(s.detached) }() // ends with Shutdown
		s.mu.Lock()
		s.http2.begin()
		s.mu.Unlock()
	})
}

// SetLimits sets the limits for connections that come from now on.
func (s *Server) SetLimits(m fastloop.Limits) { s.loop.SetLimits(m) }

// Connections returns how many connections there are.
func (s *Server) Connections() fastloop.Connections { return s.loop.Connections() }

// Probe returns when the loop's thread has answered. If it is stuck, no site is served.
func (s *Server) Probe() {
	s.begin()
	s.loop.Probe()
}

// Pause stops accepting connections and reading requests, and returns when all that were
// read are answered, or with the cause of ctx's end. Nobody is refused meanwhile: clients
// that connect or send wait for Resume, or for the next process, which takes over the
// listeners and the Idle connections.
func (s *Server) Pause(ctx context.Context) error { return s.loop.Pause(ctx) }

// Resume undoes Pause.
func (s *Server) Resume() { s.loop.Resume() }

// IdleConn is a connection without a request under way.
type IdleConn = fastloop.IdleConn

// Idle returns copies of the connections without a request, while paused.
func (s *Server) Idle() ([]IdleConn, error) { return s.loop.Idle() }

// Adopt takes connections that were Idle in another process. The files stay the
// caller's.
func (s *Server) Adopt(conns []IdleConn) { s.loop.Adopt(conns) }

// PauseTunnels stops all tunnels between two bytes, for another process to go on with; those
// of clients that speak TLS are cut. resume undoes it.
func (s *Server) PauseTunnels() (paused []*tunnel.Tunnel, resume func()) {
	return s.proxy.tunnels.Pause()
}

// AdoptTunnel goes on with a tunnel that was paused in another process.
func (s *Server) AdoptTunnel(o tunnel.Options) { s.proxy.tunnels.Start(o) }

// Shutdown accepts no more connections, closes the idle ones, and returns when all
// requests are answered, or ctx has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin()
	s.http.SetKeepAlivesEnabled(false)
	s.loop.Shutdown()
	err := s.lastHTTP2().server.Shutdown(ctx)
	select {
	case <-s.loop.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.Join(err, s.http.Shutdown(ctx))
}

// Close closes all connections. A worker that this frees gets no request that waited.
func (s *Server) Close() error {
	s.begin()
	s.loop.Close()
	<-s.loop.Done()
	s.cut(errClosed)
	http2 := s.lastHTTP2()
	err := errors.Join(s.http.Close(), s.detached.Close(), http2.server.Close(), http2.conns.Close())
	s.loop.Conns().Close()
	s.proxy.tunnels.Close()
	return err
}
