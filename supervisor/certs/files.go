package certs

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
)

// files are where a certificate and its key are.
type files struct{ cert, key string }

// pair is a certificate from files.
type pair struct {
	files
	loaded atomic.Pointer[tls.Certificate] // nil: none could be read yet
}

func (p *pair) certificate() *tls.Certificate { return p.loaded.Load() }

// load reads the files. After an error the certificate of before stays.
func (p *pair) load() error {
	cert, err := p.read()
	if err != nil {
		return err
	}
	p.loaded.Store(cert)
	return nil
}

// read reads a certificate, with the certificates that it is signed by, and its key.
func (f files) read() (*tls.Certificate, error) {
	chain, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", f.cert, f.key, err)
	}
	return &cert, nil
}
