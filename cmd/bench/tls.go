package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// protocol is how the requests of a row get to the server.
type protocol int

const (
	plainHTTP  protocol = iota
	http1TLS            // HTTP/1.1 over TLS, connections are kept
	http2TLS            // HTTP/2 over TLS, several requests at once on every connection
	handshakes          // HTTP/1.1 over TLS, a new connection for each request
)

// streams is how many requests an HTTP/2 connection has under way.
const streams = 8

// tlsRows returns a row for each protocol over TLS whose connections are kept.
func tlsRows(x row) []row {
	h1, h2 := x, x
	h1.name, h1.title, h1.request.over = "tls", "HTTP/1.1: "+x.title, http1TLS
	h2.name, h2.title, h2.request.over = "h2", fmt.Sprintf("HTTP/2, %d streams a connection: %s", streams, x.title), http2TLS
	return []row{h1, h2}
}

func handshakeRow(x row) row {
	x.name, x.title, x.request.over = "handshakes", "1 KB, a new connection for each request", handshakes
	return x
}

// withoutMissing leaves out the rows whose clients are not installed, and says so.
func withoutMissing(r *report, all []setup) []setup {
	version, err := versionOf(context.Background(), "h2load", "--version")
	var left []setup
	for _, s := range all {
		s.rows = slices.DeleteFunc(slices.Clone(s.rows), func(x row) bool {
			byH2load := x.request.over == http1TLS || x.request.over == http2TLS
			switch {
			case byH2load && err != nil:
				r.note("%s, %s: skipped: h2load is missing (apt-get install nghttp2-client)", s.table, x.title)
			case byH2load:
				r.note("The clients of the rows %s are h2load %s, one thread: it looks at the status, and one answer before each round is compared.", s.table, version)
			}
			return byH2load && err != nil
		})
		if len(s.rows) > 0 {
			left = append(left, s)
		}
	}
	return left
}

// drive sends the requests of a row for a time.
func (s *server) drive(ctx context.Context, host string, x row, d time.Duration) (speed, error) {
	switch x.request.over {
	case plainHTTP:
		return drive(ctx, s.addr, host, x.request, x.connections, d)
	case handshakes:
		return shake(ctx, s.tlsAddr, host, x, d)
	default:
		if err := askTLS(ctx, s.tlsAddr, host, x.request); err != nil {
			return speed{}, err
		}
		return h2load(ctx, s.tlsAddr, host, x, d)
	}
}

// clientTLS is the configuration of all clients. The key exchange is the one that every
// server knows, and no session is resumed.
func clientTLS(host string) *tls.Config {
	return &tls.Config{ServerName: host, InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}, MinVersion: tls.VersionTLS13}
}

// askTLS compares one answer.
func askTLS(ctx context.Context, addr, host string, r request) error {
	transport := &http.Transport{TLSClientConfig: clientTLS(host), Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(r.over == http1TLS)
	transport.Protocols.SetHTTP2(r.over == http2TLS)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+r.path, nil)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return compareBody(resp, r.want)
}

func compareBody(resp *http.Response, want []byte) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		return fmt.Errorf("%s: %.300q", resp.Status, body)
	}
	return nil
}

// shake sends each request on a new connection, and compares every answer.
func shake(ctx context.Context, addr, host string, x row, d time.Duration) (speed, error) {
	var (
		mu    sync.Mutex // mu protects times, and the wrong answers of got
		times []time.Duration
		got   speed
		wg    sync.WaitGroup
	)
	r := x.request
	r.perConnection = true
	text, start := r.text(host), time.Now()
	end := start.Add(d)
	for range x.connections {
		wg.Go(func() {
			for ctx.Err() == nil && time.Now().Before(end) {
				begun := time.Now()
				err := exchangeTLS(ctx, addr, host, text, r.want)
				mu.Lock()
				switch {
				case time.Now().After(end): // what is under way then does not count
				case err != nil:
					got.bad++
					got.why = err.Error()
				default:
					times = append(times, time.Since(begun))
				}
				tooBad := got.bad > maxBad
				mu.Unlock()
				if tooBad {
					return
				}
			}
		})
	}
	wg.Wait()
	if got.bad > maxBad {
		return got, fmt.Errorf("%d wrong answers, one: %s", got.bad, got.why)
	}
	ms := milliseconds(times)
	got.requests, got.perSecond = len(ms)+got.bad, float64(len(ms))/time.Since(start).Seconds()
	got.p50, got.p99 = quantile(ms, 0.5), quantile(ms, 0.99)
	return got, nil
}

// exchangeTLS connects, and sends one request.
func exchangeTLS(ctx context.Context, addr, host string, text, want []byte) error {
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	conn := tls.Client(plain, clientTLS(host))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(stallLimit)) // cannot fail on a socket
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if _, err := conn.Write(text); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	return compareBody(resp, want)
}

func certFile(dir string) string { return filepath.Join(dir, "cert.pem") }
func keyFile(dir string) string  { return filepath.Join(dir, "key.pem") }

// writeCertificate writes a certificate for the sites, ECDSA P-256, which nobody has signed.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 1, 0), DNSNames: []string{"*.example.com"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile(dir), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(keyFile(dir), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
