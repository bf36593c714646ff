package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	if err := errors.Join(writePEM(cert, "CERTIFICATE", der, 0o600), writePEM(key, "PRIVATE KEY", pkcs8, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// at is a connection that has only a local address.
type at struct{ net.Conn }

func (at) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

func TestCerts_EachNameItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := New(Options{Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	site := func(name string, hosts ...string) Site {
		cert, key := issue(t, filepath.Join(dir, name), time.Hour, hosts...)
		return Site{Name: name, Hosts: hosts, Source: Files, Cert: cert, Key: key}
	}
	c.Set([]Site{
		site("exact", "a.example.com"), site("wild", "*.example.com"), site("longer", "*.b.example.com"),
		site("address", "192.0.2.1"), {Name: "broken", Hosts: []string{"broken.example.com"}, Source: Files, Cert: dir, Key: dir},
	}, ACME{})
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

// TestCerts_Internal: names that no public authority can know get a certificate of our own,
// each its own, and the keys are for nobody else.
func TestCerts_Internal(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	c := New(Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	c.Set([]Site{
		{Name: "auto", Hosts: []string{"blog.localhost", "*.blog.localhost", "192.0.2.1", "[2001:db8::1]"}, Source: Auto},
		{Name: "internal", Hosts: []string{"shop.example.com"}, Source: Internal},
	}, ACME{})
	root, err := MakeRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	for _, name := range []string{"blog.localhost", "a.blog.localhost", "192.0.2.1", "[2001:db8::1]", "shop.example.com"} {
		cert, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil || cert == nil {
			t.Fatalf("%s: got %v, %v", name, cert, err)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, _ := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); again != cert {
			t.Errorf("%s: made again", name)
		}
	}
	for i := range 3 * maxMade {
		if cert, _ := c.GetCertificate(&tls.ClientHelloInfo{ServerName: fmt.Sprintf("n%d.blog.localhost", i)}); cert == nil {
			t.Fatalf("no certificate for name %d", i)
		}
	}
	if got := len(c.internal["auto"].made); got > maxMade {
		t.Errorf("%d certificates are kept", got)
	}
	for _, name := range []string{"a b.blog.localhost", strings.Repeat("a.", 200) + "blog.localhost", "\x00.blog.localhost"} {
		if cert, _ := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); cert != nil {
			t.Errorf("%q has a certificate", name)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, internalDir, "root.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("root.key: %v, %v", info, err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v", dir, info, err)
	}
	if st := c.States("internal"); len(st) != 1 || st[0].Leaf == nil || st[0].Source != Internal || st[0].Failed != nil {
		t.Errorf("got %+v", st)
	}
}

// TestCerts_Files: a changed certificate is used when the files are read again, and one that
// cannot be used never is.
func TestCerts_Files(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "one")
	c := New(Options{Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	cert, key := issue(t, path, time.Hour, "a.example.com")
	sites := []Site{{Name: "a", Hosts: []string{"a.example.com"}, Source: Files, Cert: cert, Key: key}}
	c.Set(sites, ACME{})
	shown := func() *x509.Certificate {
		got, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: "a.example.com"})
		if err != nil || got == nil {
			t.Fatalf("got %v, %v", got, err)
		}
		return got.Leaf
	}
	first := shown()
	issue(t, path, 2*time.Hour, "a.example.com")
	c.ReadAgain()
	second := shown()
	if second.Equal(first) {
		t.Error("the old certificate is shown")
	}
	_, other := issue(t, path+"-other", time.Hour, "a.example.com")
	if err := os.Rename(other, key); err != nil {
		t.Fatal(err)
	}
	c.ReadAgain()
	c.Set(sites, ACME{})
	if !shown().Equal(second) {
		t.Error("the certificate of before is not shown")
	}
	if st := c.States("a"); st[0].Failed == nil || !strings.Contains(st[0].Failed.Err.Error(), "private key does not match public key") {
		t.Errorf("got %+v", st[0])
	}
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "one")
	cert, key := issue(t, path, time.Hour, "a.example.com", "*.b.example.com", "192.0.2.1")
	for _, test := range []struct {
		hosts []string
		after time.Duration
		want  string
	}{
		{[]string{"a.example.com", "*.b.example.com", "c.b.example.com", "192.0.2.1"}, 0, ""},
		{[]string{"b.example.com", "c.d.b.example.com", "a.example.com"}, 0, "is not for b.example.com, c.d.b.example.com, but for a.example.com, *.b.example.com, 192.0.2.1"},
		{[]string{"a.example.com"}, 2 * time.Hour, "has expired on"},
		{[]string{"a.example.com"}, -2 * time.Hour, "is not valid before"},
	} {
		got := strings.Join(CheckFiles(cert, key, test.hosts, time.Now().Add(test.after)), "; ")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%v: got %q, want %q", test.hosts, got, test.want)
		}
	}
	if got := CheckFiles(cert, path, nil, time.Now()); len(got) != 1 || !strings.HasPrefix(got[0], "private key: ") {
		t.Errorf("got %q", got)
	}
}

func TestForbidsACME(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.com": false, "a.b.co.uk": false, "localhost.com": false, "xn--bcher-kva.de": false,
		"localhost": true, "a.localhost": true, "box": true, "*.example.com": true, "192.0.2.1": true, "[2001:db8::1]": true,
		"a_b.example.com": true, "nas.local": true, "x.home.arpa": true, "a.test": true,
	} {
		if got := ForbidsACME(host) != ""; got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}

// TestCerts_ChallengesOfOthers: what an authority asks is answered only for names whose
// certificates we request, and only while we do; nothing else is shown to it.
func TestCerts_ChallengesOfOthers(t *testing.T) {
	t.Parallel()
	c := New(Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	c.Set([]Site{{Name: "internal", Hosts: []string{"shop.example.com"}, Source: Internal}}, ACME{})
	for _, host := range []string{"shop.example.com", "stranger.example.com", ""} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "http://"+cmp.Or(host, "x")+"/.well-known/acme-challenge/token", nil)
		if c.AnswerChallenge(w, r, host) || w.Body.Len() > 0 {
			t.Errorf("%q: answered with %q", host, w.Body)
		}
		hello := &tls.ClientHelloInfo{ServerName: host, SupportedProtos: []string{challengeProtocol}, Conn: at{}}
		if cert, err := c.GetCertificate(hello); cert != nil || err != nil {
			t.Errorf("%q: got %v, %v", host, cert, err)
		}
	}
}

// TestCerts_CoversAddress: a client that asks for an address names nothing in its handshake.
func TestCerts_CoversAddress(t *testing.T) {
	t.Parallel()
	c := New(Options{Log: slog.New(slog.DiscardHandler)})
	defer c.Close()
	cert, key := issue(t, filepath.Join(t.TempDir(), "address"), time.Hour, "192.0.2.1", "2001:db8::1", "a.example.com")
	c.Set([]Site{{Name: "site", Hosts: []string{"192.0.2.1", "[2001:db8::1]", "a.example.com"}, Source: Files, Cert: cert, Key: key}}, ACME{})
	for host, want := range map[string]bool{"192.0.2.1": true, "[2001:db8::1]": true, "192.0.2.2": false, "a.example.com": false, "": false} {
		if got := c.Covers("", host); got != want {
			t.Errorf("without a name, %q: got %v, want %v", host, got, want)
		}
	}
}

// TestCerts_FilesThatNeverEnd: who may change the files of one site can neither stop what
// reads them nor fill the memory.
func TestCerts_FilesThatNeverEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := issue(t, filepath.Join(dir, "site"), time.Hour, "a.example.com")
	fifo, large := filepath.Join(dir, "fifo"), filepath.Join(dir, "large")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(large, nil, 0o600), os.Truncate(large, 1<<40)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{fifo, large, "/dev/zero", dir} {
		read := make(chan error, 2)
		go func() {
			_, err := ReadLeaf(bad, key)
			read <- err
			_, err = ReadLeaf(cert, bad)
			read <- err
		}()
		for range 2 {
			select {
			case err := <-read:
				if err == nil || !strings.Contains(err.Error(), bad) {
					t.Errorf("%s: got %v, want an error that names it", bad, err)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: it is still being read", bad)
			}
		}
	}
}
