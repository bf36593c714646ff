package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// issue writes a self-signed certificate for hosts, and its key, and returns the files.
func issue(t testing.TB, path string, until time.Duration, hosts ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(until)}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = path+".pem", path+".key"
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", pkcs8)
	return cert, key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// at is a connection that has only a local address.
type at struct{ net.Conn }

func (at) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

func TestCerts_EachNameItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := New(slog.New(slog.DiscardHandler))
	site := func(name string, hosts ...string) Site {
		cert, key := issue(t, filepath.Join(dir, name), time.Hour, hosts...)
		return Site{Name: name, Hosts: hosts, Cert: cert, Key: key}
	}
	c.Set([]Site{
		site("exact", "a.example.com"), site("wild", "*.example.com"), site("longer", "*.b.example.com"),
		site("address", "192.0.2.1"), {Name: "broken", Hosts: []string{"broken.example.com"}, Cert: dir, Key: dir},
	})
	for asked, want := range map[string]string{
		"a.example.com": "a.example.com", "A.Example.com.": "a.example.com", "c.example.com": "*.example.com",
		"c.b.example.com": "*.b.example.com", "example.com": "", "stranger.test": "", "broken.example.com": "", "": "192.0.2.1",
	} {
		got := ""
		cert, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: asked, Conn: at{}})
		if err != nil {
			t.Fatal(err)
		}
		if cert != nil {
			if got = append(cert.Leaf.DNSNames, "192.0.2.1")[0]; got != want {
				t.Errorf("%q: got the certificate of %q, want %q", asked, got, want)
			}
		} else if want != "" {
			t.Errorf("%q: got none, want that of %q", asked, want)
		}
	}
	for _, test := range []struct {
		asked, host string
		want        bool
	}{
		{"a.example.com", "a.example.com", true}, {"A.example.com", "a.example.com", true}, {"a.example.com", "c.example.com", false},
		{"c.example.com", "d.example.com", true}, {"c.example.com", "d.b.example.com", false}, {"", "a.example.com", false},
		{"stranger.test", "a.example.com", false},
	} {
		if got := c.Covers(test.asked, test.host); got != test.want {
			t.Errorf("asked for %q, request for %q: got %v", test.asked, test.host, got)
		}
	}
}
