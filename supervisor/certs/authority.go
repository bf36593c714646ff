package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	internalDir = "internal" // in Options.Dir
	rootLife    = 10 * 365 * 24 * time.Hour
	leafLife    = 7 * 24 * time.Hour
	clockSkew   = time.Hour // by which the clock of a client may be late
)

// authority is our own: it signs certificates for those who have installed its root.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// MakeRoot makes the internal authority in a directory as Options has it, if there is none
// yet, and returns its root certificate.
func MakeRoot(dir string) (*x509.Certificate, error) {
	a, err := openAuthority(filepath.Join(dir, internalDir))
	if err != nil {
		return nil, err
	}
	return a.cert, nil
}

// openAuthority reads an authority, or makes one in an empty directory.
func openAuthority(dir string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key")
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(certFile, keyFile); err != nil {
			return nil, fmt.Errorf("make the internal authority: %w", err)
		}
	}
	pair, err := files{certFile, keyFile}.read()
	if err != nil {
		return nil, fmt.Errorf("internal authority: %w", err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("internal authority: %s has expired; remove it for a new one", certFile)
	}
	return &authority{pair.Leaf, pair.PrivateKey.(crypto.Signer)}, nil
}

// makeAuthority writes a new authority. The certificate comes last: when it is there, both
// are.
func makeAuthority(certFile, keyFile string) error {
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // only a name for people
	root := &x509.Certificate{
		Subject: pkix.Name{Organization: []string{"multisite"}, CommonName: strings.TrimSpace("multisite internal CA " + host)},
		IsCA:    true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(root, root, key.Public(), key, rootLife)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", secret, 0o600); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der, 0o644)
}

// issue returns a certificate for one name.
func (a *authority) issue(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	der, err := sign(leaf, a.cert, key.Public(), a.key, min(leafLife, time.Until(a.cert.NotAfter)))
	if err != nil {
		return nil, err
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// sign signs a certificate that is valid from now on.
func sign(c, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer, life time.Duration) ([]byte, error) {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c.SerialNumber = number
	c.NotBefore, c.NotAfter = time.Now().Add(-clockSkew), time.Now().Add(life)
	return x509.CreateCertificate(rand.Reader, c, parent, public, by)
}

// writePEM writes a file under another name, syncs and renames it.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed
	err = errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
