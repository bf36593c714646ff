package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// overTLS lets the clients of the tests in which one of them is a peer speak TLS.
var overTLS = flag.Bool("overtls", false, "speak TLS to the front door")

// authority is one certificate for site.test, which clients trust.
type authority struct {
	server, client *tls.Config
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"site.test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &authority{
		server: &tls.Config{NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		client: &tls.Config{RootCAs: pool, ServerName: "site.test"},
	}
}

// newPeer returns a client, after its handshake if it speaks TLS.
func (f *front) newPeer(c *net.TCPConn) *peer {
	p := &peer{TCPConn: c, tb: f.tb, br: bufio.NewReader(c)}
	if f.certs != nil {
		p.speakTLS(f.certs.client)
	}
	return p
}

// speakTLS makes the handshake when the peer first says something.
func (p *peer) speakTLS(conf *tls.Config) {
	p.secure = tls.Client(p.TCPConn, conf)
	p.br = bufio.NewReader(p.secure)
}

// Write says something, in TLS if the peer speaks it.
func (p *peer) Write(b []byte) (int, error) {
	if p.secure != nil {
		return p.secure.Write(b)
	}
	return p.TCPConn.Write(b)
}

// ReadFrom hides that of the connection without TLS.
func (p *peer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{p}, r)
}

// Read reads what comes, in TLS if the peer speaks it.
func (p *peer) Read(b []byte) (int, error) {
	if p.secure != nil {
		return p.secure.Read(b)
	}
	return p.TCPConn.Read(b)
}

// plainOnly skips a test of what is otherwise with TLS.
func plainOnly(t *testing.T) {
	t.Helper()
	if *overTLS {
		t.Skip("without TLS")
	}
}

// startSecure is startFront for a front door whose clients speak TLS.
func startSecure(tb testing.TB, c *crew, o Options, change ...func(*site.Site)) *front {
	tb.Helper()
	o.TLS = &tls.Config{}
	return startFront(tb, c, o, change...)
}
