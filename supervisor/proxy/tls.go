package proxy

import (
	"crypto/tls"
	"net"

	"github.com/multisite/multisite/supervisor/gate"
)

// ServeTLS is Serve for clients that speak TLS, as Options.TLS says.
func (s *Server) ServeTLS(l net.Listener) error {
	s.begin()
	g := gate.New(l)
	s.mu.Lock()
	if s.paused {
		g.Shut()
	}
	s.gates = append(s.gates, g)
	s.mu.Unlock()
	return s.http.Serve(tls.NewListener(g, s.tls))
}

// pauseTLS lets new clients that speak TLS wait, or serves them again.
func (s *Server) pauseTLS(on bool) []*gate.Gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = on
	for _, g := range s.gates {
		if on {
			g.Shut()
		} else {
			g.Open()
		}
	}
	return s.gates
}

// isMisdirected reports whether the client has not seen a certificate of the host that
// its request is for.
func (p *Proxy) isMisdirected(state *tls.ConnectionState, host string) bool {
	return state != nil && p.covers != nil && !p.covers(state.ServerName, host)
}
