// Package certs gives the front door the certificate of each server name. It owns where
// certificates come from, and that a name gets its own or none: a client that asks for a
// name that no site has, or whose site has no certificate, is refused in the handshake
// (unrecognized_name), and never sees the certificate of another site.
//
// A certificate that cannot be renewed or read again stays in use: a site loses TLS by no
// mistake that is made after it had a certificate.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// Site says what a site's names are and where their certificate comes from.
type Site struct {
	Name  string
	Hosts []string // normalized names, or "*.example.com"
	Cert  string   // absolute paths of PEM files
	Key   string
}

// Certs has the certificates of all sites. Any goroutine may use it.
type Certs struct {
	log *slog.Logger

	table atomic.Pointer[table] // never nil

	mu sync.Mutex
	// mu protects files.
	files map[files]*pair // what the current table has of certificates in files
}

// New returns Certs that know no site yet.
func New(log *slog.Logger) *Certs {
	c := &Certs{log: log, files: map[files]*pair{}}
	c.table.Store(newTable())
	return c
}

// Set replaces the sites for all handshakes that begin from now on. What a site has got
// already it keeps.
func (c *Certs) Set(sites []Site) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, kept := newTable(), map[files]*pair{}
	for _, s := range sites {
		where := files{s.Cert, s.Key}
		p := kept[where]
		if p == nil {
			if p = c.files[where]; p == nil {
				p = &pair{files: where}
				if err := p.load(); err != nil {
					c.log.Error("certificate cannot be used", "site", s.Name, "error", err)
				}
			}
			kept[where] = p
		}
		t.add(s.Hosts, p)
	}
	c.files = kept
	c.table.Store(t)
}

// Config returns the configuration of TLS listeners: TLS 1.2 or newer with the ciphers of
// Go, HTTP/2 before HTTP/1.1, and session tickets whose keys Go changes every day.
func (c *Certs) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.GetCertificate,
	}
}

// GetCertificate returns the certificate of the name that a client asks for, or nil, for
// which package tls refuses the client with unrecognized_name. A client that names none
// asks for the address that it has connected to.
func (c *Certs) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s := c.table.Load().lookup(nameOf(hello))
	if s == nil {
		return nil, nil
	}
	return s.certificate(), nil
}

func nameOf(hello *tls.ClientHelloInfo) string {
	if hello.ServerName != "" {
		return strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	}
	if tcp, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		return hostOfAddr(tcp.AddrPort().Addr())
	}
	return ""
}

// Covers reports whether a client that has asked for one name in the handshake may send
// requests for another one, a normalized host, on the same connection: the certificate
// that it has seen must be valid for that, too.
func (c *Certs) Covers(asked, host string) bool {
	asked = strings.ToLower(strings.TrimSuffix(asked, "."))
	if asked == host {
		return true
	}
	s := c.table.Load().lookup(asked)
	if s == nil {
		return false
	}
	cert := s.certificate()
	return cert != nil && leafCovers(cert.Leaf, host)
}

func leafCovers(leaf *x509.Certificate, host string) bool {
	return leaf != nil && leaf.VerifyHostname(host) == nil
}
