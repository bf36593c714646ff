package certs

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// files are where a certificate and its key are.
type files struct{ cert, key string }

// pair is a certificate from files.
type pair struct {
	files
	loaded atomic.Pointer[tls.Certificate] // nil: none could be read yet
	failed atomic.Pointer[Failure]         // of the last read; nil: it has not failed
}

func (p *pair) certificate(string) *tls.Certificate { return p.loaded.Load() }

// load reads the files. After an error the certificate of before stays.
func (p *pair) load() error {
	cert, err := p.read()
	if err != nil {
		p.failed.Store(&Failure{time.Now(), err})
		return err
	}
	p.failed.Store(nil)
	p.loaded.Store(cert)
	return nil
}

// Paths returns the files that certificates were read from.
func (c *Certs) Paths() (paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for where := range c.files {
		paths = append(paths, where.cert, where.key)
	}
	return paths
}

// ReadAgain reads those files again that have changed. A certificate stays in use if what
// is there now cannot be read.
func (c *Certs) ReadAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for where, p := range c.files {
		old := p.loaded.Load()
		if err := p.load(); err != nil {
			c.o.Log.Error("changed certificate cannot be used; the old one stays", "file", where.cert, "error", err)
		} else if now := p.loaded.Load(); old == nil || !old.Leaf.Equal(now.Leaf) {
			c.o.Log.Info("certificate read", "file", where.cert, "until", now.Leaf.NotAfter)
		}
	}
}

// read reads a certificate, with the certificates that it is signed by, and its key.
func (f files) read() (*tls.Certificate, error) {
	chain, err := readSmall(f.cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := readSmall(f.key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s with the key %s: %s", f.cert, f.key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

// maxFile is how large a file with a certificate or a key may be.
const maxFile = 1 << 20

// readSmall reads a regular file that is not large. Whoever may change the files of one site
// must not stop those who read them, or fill the memory.
func readSmall(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO would wait for a writer
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than 1 MB", path)
	}
	return b, err
}
