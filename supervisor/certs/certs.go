// Package certs gives the front door the certificate of each server name. It owns where
// certificates come from, and that a name gets its own or none: a client that asks for a
// name that no site has, or whose site has no certificate, is refused in the handshake
// (unrecognized_name), and never sees the certificate of another site.
//
// A certificate that cannot be renewed or read again stays in use: a site loses TLS by no
// mistake that is made after it had a certificate. Certificates are requested only for
// names that a site has now, never because a client asks for one.
package certs

import (
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Source says where certificates come from.
type Source string

// The sources of certificates.
const (
	Auto     Source = "auto"     // public authorities, by ACME; Internal for names that these refuse
	Internal Source = "internal" // our own authority
	Files    Source = "files"    // files of the user
)

// Site says what a site's names are and where their certificates come from.
type Site struct {
	Name   string
	Hosts  []string // normalized names, or "*.example.com"
	Source Source
	Cert   string // absolute paths of PEM files, for Files
	Key    string
}

// Options are what Certs are made of.
type Options struct {
	Dir string // for keys and certificates; it is made with the first of them
	Log *slog.Logger
	// Event is called when a certificate was issued or renewed, or that has failed, and
	// must not wait; may be nil.
	Event func(Event)
	// LookEvery is how often is looked for certificates that are due; 0: every ten minutes.
	LookEvery time.Duration
}

// Event is what became of a request for a certificate.
type Event struct {
	Site string
	Name string // the server name
	Kind string // "certificate issued", "certificate renewed" or "certificate failed"
	Err  error  // why it failed
}

// Certs has the certificates of all sites. Any goroutine may use it.
type Certs struct {
	o     Options
	acme  *acme
	table atomic.Pointer[table] // never nil

	mu sync.Mutex
	// mu protects all below.
	files     map[files]*pair      // what the current table has of certificates in files
	internal  map[string]*internal // what the current table has of our own authority, by name of the site
	authority *authority           // nil: nothing has needed it yet
	sites     map[string][]entry   // by name
}

// entry is the source of some names of a site.
type entry struct {
	hosts []string
	from  source
}

// New returns Certs that know no site yet. The caller calls Close.
func New(o Options) *Certs {
	c := &Certs{o: o, files: map[files]*pair{}, internal: map[string]*internal{}, sites: map[string][]entry{}}
	c.acme = newACME(o)
	c.table.Store(newTable())
	return c
}

// Close ends what goes on for certificates.
func (c *Certs) Close() { c.acme.close() }

// Set replaces the sites for all handshakes that begin from now on, and says from whom
// their certificates are requested. What a site has got already it keeps. It reports whether
// Paths has changed.
func (c *Certs) Set(sites []Site, a ACME) (newPaths bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pairs, own := c.files, c.internal
	c.files, c.internal, c.sites = map[files]*pair{}, map[string]*internal{}, map[string][]entry{}
	t, wanted := newTable(), map[string]string{}
	for _, s := range sites {
		for _, e := range c.entriesLocked(s, pairs, own) {
			t.add(e.hosts, e.from)
			c.sites[s.Name] = append(c.sites[s.Name], e)
			if _, auto := e.from.(autoName); auto {
				wanted[e.hosts[0]] = s.Name
			}
		}
	}
	c.table.Store(t)
	c.acme.set(a, wanted)
	return !maps.Equal(c.files, pairs)
}

// entriesLocked returns where the certificates of a site's names come from. It takes what
// is there of before.
func (c *Certs) entriesLocked(s Site, pairs map[files]*pair, own map[string]*internal) (entries []entry) {
	ours := slices.Clone(s.Hosts)
	switch s.Source {
	case Files:
		return []entry{{s.Hosts, c.pairLocked(s, pairs)}}
	case Auto:
		ours = nil
		for _, host := range s.Hosts {
			if ForbidsACME(host) != "" {
				ours = append(ours, host)
			} else {
				entries = append(entries, entry{[]string{host}, autoName{c.acme, host}})
			}
		}
	}
	if len(ours) == 0 {
		return entries
	}
	if c.internal[s.Name] = own[s.Name]; c.internal[s.Name] == nil {
		c.internal[s.Name] = &internal{certs: c}
	}
	return append(entries, entry{ours, c.internal[s.Name]})
}

// pairLocked returns the certificate in the files of a site.
func (c *Certs) pairLocked(s Site, known map[files]*pair) *pair {
	where := files{s.Cert, s.Key}
	p := c.files[where]
	if p == nil {
		p = known[where]
	}
	if p == nil {
		p = &pair{files: where}
		if err := p.load(); err != nil {
			c.o.Log.Error("certificate cannot be used", "site", s.Name, "error", err)
		}
	}
	c.files[where] = p
	return p
}

// ourAuthority returns our own authority, which is made when it is needed first.
func (c *Certs) ourAuthority() (*authority, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authority != nil {
		return c.authority, nil
	}
	a, err := openAuthority(filepath.Join(c.o.Dir, internalDir))
	if err != nil {
		return nil, err
	}
	c.authority = a
	return a, nil
}

// Config returns the configuration of TLS listeners: TLS 1.2 or newer with the ciphers of
// Go, HTTP/2 before HTTP/1.1, and session tickets whose keys Go changes every day.
func (c *Certs) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1", challengeProtocol},
		GetCertificate: c.GetCertificate,
	}
}

// GetCertificate returns the certificate of the name that a client asks for, or nil, for
// which package tls refuses the client with unrecognized_name. A client that names none
// asks for the address that it has connected to.
func (c *Certs) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := nameOf(hello)
	s := c.table.Load().lookup(name)
	if s == nil {
		return nil, nil
	}
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == challengeProtocol {
		if auto, ok := s.(autoName); ok {
			return auto.acme.challenge(hello), nil
		}
		return nil, nil
	}
	return s.certificate(name), nil
}

func nameOf(hello *tls.ClientHelloInfo) string {
	if hello.ServerName != "" {
		return normal(hello.ServerName)
	}
	if tcp, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		return hostOfAddr(tcp.AddrPort().Addr())
	}
	return ""
}

func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Covers reports whether a client that has asked for one name in the handshake may send
// requests for another one, a normalized host, on the same connection: the certificate
// that it has seen must be valid for that, too. It does not wait for anything, since the
// front door's loop calls it.
func (c *Certs) Covers(asked, host string) bool {
	asked = normal(asked)
	switch asked {
	case "": // no address is named in a handshake (RFC 6066, section 3): it has seen that of its own
		_, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return err == nil && c.table.Load().lookup(host) != nil
	case host:
		return true
	}
	p, ok := c.table.Load().lookup(asked).(*pair) // all others have one name in a certificate
	if !ok {
		return false
	}
	cert := p.certificate(asked)
	return cert != nil && cert.Leaf != nil && cert.Leaf.VerifyHostname(host) == nil
}

// Has reports whether there is a certificate for a normalized host.
func (c *Certs) Has(host string) bool {
	s := c.table.Load().lookup(host)
	return s != nil && s.certificate(host) != nil
}

// AnswerChallenge answers a request of an authority that is to find out whether we have a
// host, and reports whether it did. A challenge for a host is answered by us or by the
// host's own site, never by another one.
func (c *Certs) AnswerChallenge(w http.ResponseWriter, r *http.Request, host string) bool {
	auto, ok := c.table.Load().lookup(host).(autoName)
	return ok && auto.acme.answer(w, r)
}
