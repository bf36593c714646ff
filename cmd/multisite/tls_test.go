package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tlsSites has two sites with a certificate each.
const tlsSites = `listen_tls = "127.0.0.1:0"` + "\n" + pythonSites + subdomain1 + `tls = { cert = "one.pem", key = "one.key" }
[site.subdomain2]
server_name = "subdomain2.example.com"
settings = "subdomain2_settings"
tls = { cert = "two.pem", key = "two.key" }
`

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.key)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	parent := a.cert
	if parent == nil {
		parent = c
	}
	var err error
	if c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

// issue writes a certificate and its key to NAME.pem and NAME.key in dir.
func (a *authority) issue(dir, name string, hosts ...string) *x509.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	cert := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	writeFile(a.t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	writeFile(a.t, filepath.Join(dir, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	return cert
}

// conf returns the configuration of a client that trusts only a.
func (a *authority) conf(name string, protocols ...string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, ServerName: name, NextProtos: protocols}
}

// upTLS starts tlsSites with certificates of a new authority.
func upTLS(t testing.TB) (*running, *authority) {
	t.Helper()
	ca := newAuthority(t)
	r := newRunning(t, newDir(t, tlsSites))
	ca.issue(r.dir, "one", host1)
	ca.issue(r.dir, "two", host2)
	r.start()
	t.Cleanup(r.finish)
	return r, ca
}

// secureClient returns an HTTP client that asks for one name in its handshakes.
func (r *running) secureClient(conf *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: len(conf.NextProtos) == 0}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// secureGet sends a request for a host to the TLS address.
func (r *running) secureGet(c *http.Client, host, path string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://"+r.status().Supervisor.ListenTLS[0]+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	r, ca := upTLS(t)
	r.parts(t, []part{
		{"the application knows", func(t *testing.T, r *running) { testTLSEnviron(t, r, ca) }},
		{"a stranger's name", func(t *testing.T, r *running) { testTLSStranger(t, r) }},
		{"another host than asked for", func(t *testing.T, r *running) { testTLSMisdirected(t, r, ca) }},
		{"without TLS", testTLSRedirect},
		{"status", testTLSStatus},
		{"reload", func(t *testing.T, r *running) { testTLSReload(t, r, ca) }},
		{"changed files", func(t *testing.T, r *running) { testTLSChanged(t, r, ca) }},
	})
}

// testTLSEnviron: a Python application is told that its client came with TLS.
func testTLSEnviron(t *testing.T, r *running, ca *authority) {
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		for _, host := range []string{host1, host1 + ":8443"} {
			resp, body := r.secureGet(r.secureClient(ca.conf(host1, protocols...)), host, "/probe/headers/")
			var environ map[string]string
			if err := json.Unmarshal([]byte(body), &environ); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			port := "443"
			if host != host1 {
				port = "8443"
			}
			if environ["wsgi.url_scheme"] != "https" || environ["HTTPS"] != "on" || environ["SERVER_PORT"] != port || environ["SERVER_PROTOCOL"] != resp.Proto {
				t.Errorf("%s with %q: the application gets %q", host, resp.Proto, environ)
			}
		}
	}
}

// testTLSStranger: a client that asks for a name of no site sees no certificate.
func testTLSStranger(t *testing.T, r *running) {
	for _, name := range []string{"stranger.example.com", "example.com", "localhost", ""} {
		conf := &tls.Config{ServerName: name, InsecureSkipVerify: true}
		_, err := tls.Dial("tcp", r.status().Supervisor.ListenTLS[0], conf)
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: got %v, want unrecognized_name", name, err)
		}
	}
}

// testTLSMisdirected: a request for a host of another certificate is refused.
func testTLSMisdirected(t *testing.T, r *running, ca *authority) {
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		c := r.secureClient(ca.conf(host1, protocols...))
		for host, want := range map[string]int{host1: http.StatusOK, host2: http.StatusMisdirectedRequest, "stranger.example.com": http.StatusMisdirectedRequest} {
			if resp, _ := r.secureGet(c, host, "/"); resp.StatusCode != want {
				t.Errorf("%s on a %s connection of %s: got %d, want %d", host, resp.Proto, host1, resp.StatusCode, want)
			}
		}
	}
}

// TestTLS_Upgrade: another image of the program has the listeners, and the clients that have
// not begun their handshake.
func TestTLS_Upgrade(t *testing.T) {
	t.Parallel()
	r, ca := upTLS(t)
	addr := r.status().Supervisor.ListenTLS[0]
	early, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	eventually(t, "it is connected", func() bool { return r.status().Supervisor.Connections.Open > 0 })
	r.upgrade()
	if err := tls.Client(early, ca.conf(host1)).Handshake(); err != nil {
		t.Errorf("a client that had connected before: %v", err)
	}
	if now := r.status().Supervisor.ListenTLS; len(now) != 1 || now[0] != addr {
		t.Errorf("listens on %q, want %s", now, addr)
	}
	if resp, _ := r.secureGet(r.secureClient(ca.conf(host2)), host2, "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// testTLSRedirect: requests without TLS are redirected, in every form, but those of an
// authority that asks whether we have the host.
func testTLSRedirect(t *testing.T, r *running) {
	_, port, _ := net.SplitHostPort(r.status().Supervisor.ListenTLS[0])
	for _, test := range []struct {
		method, host, path, want string
		status                   int
	}{
		{"GET", host1, "/a?b=c", "https://" + host1 + "/a?b=c", http.StatusPermanentRedirect},
		{"GET", host1 + ":8080", "/", "https://" + host1 + ":" + port + "/", http.StatusPermanentRedirect},
		{"POST", host2, "//evil.example.com/%0d%0a", "https://" + host2 + "//evil.example.com/%0d%0a", http.StatusPermanentRedirect},
		{"GET", host1, "/.well-known/acme-challenge/abc", "", http.StatusNotFound},
		{"GET", "stranger.example.com", "/", "", http.StatusMisdirectedRequest},
	} {
		conn := r.raw()
		body := ""
		if test.method == "POST" {
			body = "Content-Length: 3\r\n"
		}
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", test.method, test.path, test.host, body)
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: test.method})
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Location"); resp.StatusCode != test.status || got != test.want {
			t.Errorf("%s %s of %s: got %d to %q, want %d to %q", test.method, test.path, test.host, resp.StatusCode, got, test.status, test.want)
		}
	}
	r.live("subdomain1: https, hsts changed, no worker restarted\n", `tls = { cert = "one.pem"`, "https = \"both\"\nhsts = \"1y\"\ntls = { cert = \"one.pem\"")
	if a := r.askSite("subdomain1", "/"); a.status != http.StatusOK || a.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("both: got %d with %q", a.status, a.header)
	}
}

// testTLSStatus: status says who has signed a certificate and when it ends.
func testTLSStatus(t *testing.T, r *running) {
	if text, want := r.must("status", "subdomain1"), "certificate "+host1+": files, Test CA, 0 days left\n"; !strings.Contains(text, want) {
		t.Errorf("status has no %q:\n%s", want, text)
	}
	if text, want := r.must("status"), "TLS         2 server names; first to end: subdomain"; !strings.Contains(text, want) {
		t.Errorf("status has no %q:\n%s", want, text)
	}
	c := r.site("subdomain2").Certificates
	if len(c) != 1 || c[0].Source != "files" || c[0].Issuer != "Test CA" || c[0].Until == nil || c[0].Failed != nil {
		t.Errorf("got %+v", c)
	}
}

// testTLSChanged: a changed file is used at once, and a broken one never.
func testTLSChanged(t *testing.T, r *running, ca *authority) {
	shown := func() *x509.Certificate {
		t.Helper()
		conn, err := tls.Dial("tcp", r.status().Supervisor.ListenTLS[0], ca.conf(host1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0]
	}
	now := ca.issue(r.dir, "one", host1)
	eventually(t, "the new certificate to be shown", func() bool { return shown().Equal(now) })
	writeFile(t, filepath.Join(r.dir, "one.pem"), "no certificate")
	eventually(t, "status to say what is wrong", func() bool { return r.site("subdomain1").Certificates[0].Failed != nil })
	if !shown().Equal(now) {
		t.Error("another certificate is shown")
	}
	if text := r.must("status", "subdomain1"); !strings.Contains(text, " failed, the old one serves on until ") || !strings.Contains(text, "one.pem with the key") {
		t.Errorf("status says nothing:\n%s", text)
	}
	if got := r.multisite("check", "--no-import"); got.code != 2 || !strings.Contains(got.stderr, "site.subdomain1.tls: "+r.dir+"/one.pem with the key") {
		t.Errorf("check: exit %d\n%s", got.code, got.stderr)
	}
	now = ca.issue(r.dir, "one", host1)
	eventually(t, "the next certificate to be shown", func() bool { return shown().Equal(now) })
	if c := r.site("subdomain1").Certificates[0]; c.Failed != nil {
		t.Errorf("status still says %+v", c.Failed)
	}
}

// testTLSReload: keys of TLS apply at once, and a reload says which file cannot be used. The
// certificate of before is gone, since the site asks for another one.
func testTLSReload(t *testing.T, r *running, ca *authority) {
	const before, now = `cert = "two.pem"`, `cert = "none.pem"`
	r.live("subdomain2: tls changed, no worker restarted\n"+
		"subdomain2: certificate: open "+r.dir+"/none.pem: no such file or directory\n", before, now)
	if a := r.askSite("subdomain2", "/"); a.status != http.StatusOK {
		t.Errorf("without a certificate: got %d", a.status)
	}
	r.live("subdomain2: tls changed, no worker restarted\n", now, before)
	r.live("acme changed\n", `listen = "127.0.0.1:0"`, "acme = { email = \"a@example.com\" }\nlisten = \"127.0.0.1:0\"")
	if resp, _ := r.secureGet(r.secureClient(ca.conf(host2)), host2, "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("with a certificate: got %d", resp.StatusCode)
	}
}
