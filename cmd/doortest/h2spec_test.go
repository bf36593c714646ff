package doortest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/supervisor/site"
)

// TestH2Spec: h2spec finds nothing wrong with HTTP/2 over TLS, but for what net/http does on purpose.
func TestH2Spec(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("some text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p := proxy.New(proxy.Options{TLS: selfSigned(t), SpoolDir: dir, Log: log})
	s := &site.Site{Name: "site", Stats: &site.Stats{}, Clients: &site.Clients{}, Log: log,
		Access: func(*site.Entry) {}, Static: []site.Static{{Prefix: "/", Dirs: []string{dir}}}}
	p.SetTable(site.NewTable([]site.Route{{Hosts: []string{"127.0.0.1"}, Mount: "/", Site: s}}))
	server, err := p.NewServer()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l) }()
	defer func() {
		server.Close()
		<-served
	}()
	c := &config.Config{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Path: "/a.txt",
		Timeout: 5 * time.Second, MaxHeaderLen: 4000, TLS: true, Insecure: true,
	}
	passed := 0
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		passed += group.PassedCount
		wantPassed(t, c, group)
	}
	if passed < 140 {
		t.Errorf("only %d tests have passed", passed)
	}
}

// otherwise is where net/http does something else than h2spec expects: it closes the
// connection of a client that sets one value twice in a frame, and answers 400 in place of a
// reset.
var otherwise = map[string]string{
	"Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                          "Connection closed",
	"Sends a HEADERS frame that contains the connection-specific header field":                       "DATA Frame",
	"Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"": "DATA Frame",
}

// wantPassed reports what has failed in a group.
func wantPassed(t *testing.T, c *config.Config, group *spec.TestGroup) {
	t.Helper()
	for i, test := range group.Tests {
		if test.Result == nil || !test.Result.Failed {
			continue
		}
		if err := test.Test(c, i+1); err == nil && !test.Result.Failed {
			continue // it depends on who is faster: the answer, or the client's next frame
		}
		actual := test.Result.Error.Error()
		if other := otherwise[test.Desc]; other == "" || !strings.Contains(actual, other) {
			t.Errorf("%s: %s: %s", group.ID(), test.Desc, actual)
		}
	}
	for _, inner := range group.Groups {
		wantPassed(t, c, inner)
	}
}

func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
