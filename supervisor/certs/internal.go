package certs

import (
	"crypto/tls"
	"strings"
	"sync"
	"time"
)

// maxMade is how many certificates are kept of one site with a wildcard: its visitors
// decide for which names they are made.
const maxMade = 100

// internal has certificates of our own authority for the names of one site. They are made
// in a handshake, and are nowhere but in memory.
type internal struct {
	certs *Certs

	mu sync.Mutex
	// mu protects all below.
	made map[string]*tls.Certificate // by name
	err  error                       // why the last one could not be made
	at   time.Time                   // of err
}

func (s *internal) certificate(name string) *tls.Certificate {
	if !isName(name) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cert := s.made[name]; cert != nil && time.Until(cert.Leaf.NotAfter) > leafLife/3 {
		return cert
	}
	if time.Since(s.at) < time.Second { // a disk that fails is not asked for each handshake
		return nil
	}
	cert, err := s.makeCert(name)
	s.err = err
	if err != nil {
		s.at = time.Now()
		s.certs.o.Log.Error("no certificate of the internal authority", "name", name, "error", err)
		return s.made[name]
	}
	if s.made == nil || len(s.made) >= maxMade {
		s.made = map[string]*tls.Certificate{}
	}
	s.made[name] = cert
	return cert
}

func (s *internal) makeCert(name string) (*tls.Certificate, error) {
	a, err := s.certs.ourAuthority()
	if err != nil {
		return nil, err
	}
	return a.issue(name)
}

// isName reports whether a server name, in lower case, may be in a certificate.
func isName(name string) bool {
	return name != "" && len(name) <= 253 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.[]:") == ""
}
