package doortest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// authority is pebble, which finds every name at 127.0.0.1.
type authority struct {
	directory string
	caFile    string         // who signs for the directory
	roots     *x509.CertPool // who signs the certificates that it gives
	away      atomic.Bool    // it answers nothing but 503
	orders    atomic.Int32   // requests for new certificates that reached it
	asked     atomic.Int32   // all requests that reached it, also while it was away
}

// newAuthority starts pebble, which asks back at these ports and gives certificates for so
// long.
func newAuthority(t *testing.T, plain, secure int, valid time.Duration) *authority {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	dns := net.JoinHostPort("127.0.0.1", freePort(t))
	names, err := challtestsrv.New(challtestsrv.Config{Log: quiet, DNSAddrs: []string{dns}})
	if err != nil {
		t.Fatal(err)
	}
	names.SetDefaultDNSIPv4("127.0.0.1")
	names.SetDefaultDNSIPv6("")
	go names.Run()
	t.Cleanup(names.Shutdown)

	store := db.NewMemoryStore()
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "for tests", ValidityPeriod: uint64(valid / time.Second)}})
	front := wfe.New(quiet, store, va.New(quiet, plain, secure, false, dns, store), signer, []string{"pebble.letsencrypt.org"}, false, false, 1, 1)
	handler := front.Handler()
	a := &authority{roots: x509.NewCertPool()}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		if a.away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/order-plz") {
			a.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.directory = server.URL + wfe.DirectoryPath
	a.caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(a.caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(signer.GetRootCert(0).Cert)
	return a
}

// given are the ports that freePort has returned.
var given sync.Map

// freePort returns a port that nobody uses and that is given to nobody else: it is below
// those that the system chooses by itself.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		l.Close()
		if _, taken := given.LoadOrStore(port, true); !taken {
			return port
		}
	}
	t.Fatal("there is no free port")
	return ""
}
