package certs

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"
)

// Failure is why there is no certificate, or no newer one.
type Failure struct {
	At  time.Time
	Err error
}

// State says what certificate some names of a site have.
type State struct {
	Hosts  []string
	Source Source
	Leaf   *x509.Certificate // nil: there is none, or it is made when a client asks for it
	Failed *Failure          // nil: nothing has failed
}

var errNotWanted = errors.New("no site has this name any more")

// States returns the certificates of a site.
func (c *Certs) States(site string) (states []State) {
	c.mu.Lock()
	entries := c.sites[site]
	c.mu.Unlock()
	for _, e := range entries {
		st := State{Hosts: e.hosts}
		switch from := e.from.(type) {
		case *pair:
			st.Source, st.Failed = Files, from.failed.Load()
			st.Leaf = leafOf(from, "")
		case autoName:
			st.Source, st.Failed = Auto, from.acme.failure(from.name)
			st.Leaf = leafOf(from, from.name)
		case *internal:
			st.Source = Internal
			st.Leaf, st.Failed = from.state(e.hosts)
		}
		states = append(states, st)
	}
	return states
}

func leafOf(s source, name string) *x509.Certificate {
	if cert := s.certificate(name); cert != nil {
		return cert.Leaf
	}
	return nil
}

// failure returns why the last try for a name failed; nil: it did not.
func (a *acme) failure(name string) *Failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.names[name]; r != nil {
		return r.failed
	}
	return nil
}

// state returns the certificate of the first name that is no wildcard, and why none could
// be made.
func (s *internal) state(hosts []string) (leaf *x509.Certificate, failed *Failure) {
	if i := slices.IndexFunc(hosts, func(host string) bool { return host[0] != '*' }); i >= 0 {
		leaf = leafOf(s, hosts[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		failed = &Failure{s.at, s.err}
	}
	return leaf, failed
}
