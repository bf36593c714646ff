package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// maxStreams is how many requests of one HTTP/2 connection may be under way at once.
const maxStreams = 128

// http2Side is net/http's server for connections that speak HTTP/2. It serves until its
// Shutdown: then there must be another one.
type http2Side struct {
	server *http.Server
	conns  *listener
}

func (s *Server) newHTTP2Side() *http2Side {
	server := s.proxy.newHTTPServer()
	server.BaseContext, server.ConnState = s.http.BaseContext, s.noteState
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, http2Key{}, conn)
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: 16 << 10}
	return &http2Side{server, newListener()}
}

type http2Key struct{}

// progress notes that the request has begun or gone on.
func (e *exchange) progress() {
	if e.r.ProtoMajor != 2 {
		return
	}
	if conn, ok := e.r.Context().Value(http2Key{}).(net.Conn); ok {
		fastloop.Progress(conn)
	}
}

func (h *http2Side) begin() {
	go func() { // ends with Shutdown
		_ = h.server.Serve(h.conns)
		h.conns.closeRest()
	}()
}

// serveHTTP2 gives net/http a connection whose client speaks HTTP/2.
func (s *Server) serveHTTP2(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http2.conns.put(conn)
}

// lastHTTP2 returns the server for HTTP/2, which ends. There will be no other.
func (s *Server) lastHTTP2() *http2Side {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.http2
}

// EndTLS lets the connections end that another process could not go on with: those with
// TLS or HTTP/2. Clients that speak HTTP/2 are told to begin no more requests. Those that
// connect wait until ResumeTLS, or for the next process. It returns when all are gone on
// which no request is under way, or ctx has ended.
func (s *Server) EndTLS(ctx context.Context) {
	s.mu.Lock()
	ending := s.http2
	s.mu.Unlock()
	var end sync.WaitGroup
	defer end.Wait()
	s.loop.EndTLS(func() {
		end.Go(func() { _ = ending.server.Shutdown(ctx) }) // what is left is waited for by Pause
	})
}

// ResumeTLS undoes EndTLS, but for the connections that have ended.
func (s *Server) ResumeTLS() {
	s.mu.Lock()
	if !s.closed {
		s.http2 = s.newHTTP2Side()
		s.http2.begin()
	}
	s.mu.Unlock()
	s.loop.ResumeTLS()
}
