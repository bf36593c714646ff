package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
)

// Server serves a Proxy on any number of listeners: a Loop, and net/http behind it.
type Server struct {
	loop   *Loop
	http   *http.Server
	handed *census
	cut    context.CancelCauseFunc // ends the contexts of all requests that net/http has
	start  sync.Once
}

// errClosed is why a request ends that waited for a worker during Close.
var errClosed = fmt.Errorf("the front door closes: %w", context.Canceled)

// NewServer returns a server for the proxy, with the limits that every client
// meets.
func (p *Proxy) NewServer() (*Server, error) {
	s := &Server{http: p.newHTTPServer(), handed: newCensus()}
	loop, err := newLoop(p, s.handed)
	if err != nil {
		return nil, err
	}
	s.loop = loop
	var open context.Context
	open, s.cut = context.WithCancelCause(context.Background())
	s.http.BaseContext = func(net.Listener) context.Context { return open }
	s.http.ConnContext = withHanded
	s.http.ConnState = func(conn net.Conn, state http.ConnState) {
		if h, ok := conn.(*handed); ok && state == http.StateIdle {
			h.answered = true
			return // it is under way until the loop has it
		}
		s.handed.note(conn, state)
	}
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

// Serve accepts connections on l until Shutdown or Close, and returns
// http.ErrServerClosed then. The listener stays the caller's.
func (s *Server) Serve(l net.Listener) error {
	s.begin()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return s.http.Serve(l)
	}
	if err := s.loop.listen(tcp); err != nil {
		return err
	}
	<-s.loop.ended
	return http.ErrServerClosed
}

func (s *Server) begin() {
	s.start.Do(func() {
		go s.loop.run()
		go func() { _ = s.http.Serve(s.loop.handover) }() // ends with Shutdown
	})
}

// Answers returns when the loop's thread has come round to it: while that is held up by
// anything, no site is served.
func (s *Server) Answers() {
	s.begin()
	s.loop.do(func() {})
}

// Shutdown accepts no more connections, closes the idle ones, and returns when all
// requests are answered, or ctx has ended.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin()
	s.http.SetKeepAlivesEnabled(false)
	s.loop.end(false)
	select {
	case <-s.loop.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.http.Shutdown(ctx)
}

// Close closes all connections. A worker that this frees gets no request that waited.
func (s *Server) Close() error {
	s.begin()
	s.loop.end(true)
	<-s.loop.ended
	s.cut(errClosed)
	err := errors.Join(s.http.Close(), s.loop.handover.Close())
	s.handed.close()
	return err
}

// dismiss closes an idle connection, but answers first what has come.
func (c *client) dismiss() {
	c.readable(false)
	if c.site == nil && c.loop.clients[c.fd] == c {
		c.close()
	}
}

// end lets the thread end: when all requests are answered, which is soon or not its
// affair, or at once.
func (l *Loop) end(now bool) {
	l.post(func() {
		l.mu.Lock()
		l.closing, l.atOnce = true, l.atOnce || now
		l.mu.Unlock()
		l.deafen()
		for _, c := range l.clients {
			switch {
			case c.site != nil && now:
				c.handOver()
			case c.site == nil && (now || l.paused):
				c.close()
			case c.site == nil:
				c.dismiss()
			}
		}
		if now {
			l.forgetParting(time.Now().Add(time.Hour))
		}
	})
}
