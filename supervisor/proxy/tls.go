package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/multisite/multisite/supervisor/site"
)

// ServeTLS is Serve for clients that speak TLS, as Options.TLS says.
func (s *Server) ServeTLS(l net.Listener) error {
	s.begin()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return s.http.Serve(tls.NewListener(l, s.proxy.tls))
	}
	if err := s.loop.ListenTLS(tcp); err != nil {
		return err
	}
	<-s.loop.Done()
	return http.ErrServerClosed
}

// isMisdirected reports whether the client has not seen a certificate of the host that
// its request is for.
func (p *Proxy) isMisdirected(state *tls.ConnectionState, host string) bool {
	return state != nil && p.covers != nil && !p.covers(state.ServerName, host)
}

// divert answers a question of an authority, or redirects a request that came without TLS,
// and reports whether it did. A host that has no certificate yet is served without.
func (e *exchange) divert() bool {
	p, r := e.proxy, e.r
	if strings.HasPrefix(r.URL.Path, site.ChallengePath) {
		return p.answers != nil && p.answers(e.w, r, e.host)
	}
	if e.scheme == "https" || p.hasCert == nil || !p.hasCert(e.host) {
		return false
	}
	e.setWriteDeadline()
	h := e.w.Header()
	h.Set("Location", "https://"+e.host+e.securePort()+r.RequestURI)
	h.Set("Content-Length", "0")
	if r.ContentLength != 0 {
		h.Set("Connection", "close") // as in writePage
	}
	e.status = http.StatusPermanentRedirect
	e.w.WriteHeader(e.status)
	e.site.Stats.Begin()
	e.record()
	e.site.Stats.End()
	return true
}

// securePort returns the port of the redirection. A client that has named a port, or has
// reached our own port 80, comes directly; otherwise somebody forwards both standard ports.
func (e *exchange) securePort() string {
	port := e.site.RedirectTo
	localPort := ""
	if local, ok := e.r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		_, localPort, _ = net.SplitHostPort(local.String()) // "" for a unix socket
	}
	_, named, err := net.SplitHostPort(e.r.Host)
	if direct := err == nil && named != "" || localPort == "80"; !direct || port == 443 {
		return ""
	}
	return ":" + strconv.Itoa(port)
}
