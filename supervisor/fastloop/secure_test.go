package fastloop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/spool"
)

// collected is a connection whose writes wait for send.
type collected struct {
	net.Conn
	waits bytes.Buffer
}

func (c *collected) Write(b []byte) (int, error) { return c.waits.Write(b) }

func (c *collected) send(t *testing.T) {
	t.Helper()
	if _, err := c.Conn.Write(c.waits.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// shaken returns a connection of the loop and its client, after their handshake.
func shaken(t *testing.T) (*secure, net.Conn, *tls.Conn, *collected) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := socketPair(t)
	f := os.NewFile(uintptr(far), "far")
	raw, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	t.Cleanup(func() { raw.Close() })
	socket := NewSocket(near, "192.0.2.1:1", "")
	t.Cleanup(func() { socket.Close() })
	r := &records{socket: socket}
	server := tls.Server(r, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	through := &collected{Conn: raw}
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	passing := &passed{through, true}
	client := tls.Client(passing, &tls.Config{InsecureSkipVerify: true})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	passing.now = false
	s := newSecure(server, r, spool.NewStore(t.TempDir()))
	s.keep(near)
	return s, raw, client, through
}

// passed writes at once, until now is false.
type passed struct {
	*collected
	now bool
}

func (p *passed) Write(b []byte) (int, error) {
	if p.now {
		return p.Conn.Write(b)
	}
	return p.collected.Write(b)
}

// TestSecure_ReadsFewRecords: a client that sends a byte in each record does not keep the
// thread, however many there are, and all of them are read.
func TestSecure_ReadsFewRecords(t *testing.T) {
	t.Parallel()
	s, _, client, through := shaken(t)
	const sent = 1000
	for range sent {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	through.send(t)
	b := make([]byte, maxRead)
	for all := 0; all < sent; {
		n, more, err := s.read(b)
		if all += n; err != nil || n > maxRecords || all < sent && !more {
			t.Fatalf("read %d of %d bytes, more: %v (%v), want %d at most", n, sent, more, err, maxRecords)
		}
	}
	if n, more, err := s.read(b); n != 0 || more || err != unix.EAGAIN {
		t.Errorf("then %d bytes, more: %v (%v)", n, more, err)
	}
}

// TestSecure_TakesNothing: what crypto/tls itself answers, such as new keys, does not pile up
// for a client that takes nothing.
func TestSecure_TakesNothing(t *testing.T) {
	t.Parallel()
	s, _, client, through := shaken(t)
	for { // until the socket is full
		if _, err := unix.Write(s.records.fd, make([]byte, 1<<10)); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	through.send(t)
	s.records.out = make([]byte, maxOwn+1)
	if _, _, err := s.read(make([]byte, maxRead)); err != unix.EPROTO {
		t.Errorf("got %v, want the end of the connection", err)
	}
}
