package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	acmeDir = "acme" // in Options.Dir
	// challengeProtocol is what an authority speaks that asks in a handshake whether we
	// have a server name (RFC 8737).
	challengeProtocol = "acme-tls/1"
	closeTime         = 2 * time.Second // for a request that is under way
)

// ACME says from whom certificates are requested, and where they can ask back.
type ACME struct {
	Email     string
	Directory []string // URLs, in the order in which they are asked; none: Let's Encrypt
	CAFile    string   // who signs for the authorities; "": as for all of the system
	// Plain and TLS are addresses of the front door.
	Plain, TLS []net.Addr
}

// acme requests and renews certificates. certmagic does the work: it has its own limit of
// requests, its own backoff, and keeps what it got in files.
type acme struct {
	o   Options
	log *logCore

	mu sync.Mutex
	// mu protects all below.
	says    *ACME                   // as set was told last; nil: nothing was needed yet
	cache   *certmagic.Cache        // nil: nothing was needed yet
	config  *certmagic.Config       // for what is requested from now on
	issuers []*certmagic.ACMEIssuer // of config
	names   map[string]*request     // that are wanted
	closed  bool
}

// request is one name that a certificate is wanted for.
type request struct {
	site   string
	stop   context.CancelFunc
	failed *Failure // of the last try; nil: it has not failed
}

func newACME(o Options) *acme {
	return &acme{o: o, log: &logCore{log: o.Log}, names: map[string]*request{}}
}

// set says for which names certificates are wanted, with the site of each.
func (a *acme) set(says ACME, wanted map[string]string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(wanted) == 0 && a.cache == nil {
		return
	}
	changed := a.says == nil || !a.says.equal(says)
	if changed {
		a.says = &says
		a.configureLocked()
	}
	for name, r := range a.names {
		if _, still := wanted[name]; !still || changed {
			r.stop()
		}
		if _, still := wanted[name]; !still {
			delete(a.names, name)
			a.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
		}
	}
	for name, site := range wanted {
		r := a.names[name]
		if r != nil && !changed {
			r.site = site
			continue
		}
		ctx, stop := context.WithCancel(context.Background())
		a.names[name] = &request{site: site, stop: stop}
		go a.manage(ctx, a.config, name) // ends with ctx
	}
}

func (says ACME) equal(other ACME) bool {
	same := func(a, b net.Addr) bool { return a.String() == b.String() }
	return says.Email == other.Email && slices.Equal(says.Directory, other.Directory) && says.CAFile == other.CAFile &&
		slices.EqualFunc(says.Plain, other.Plain, same) && slices.EqualFunc(says.TLS, other.TLS, same)
}

// configureLocked makes the configuration for what is requested from now on.
func (a *acme) configureLocked() {
	if a.cache == nil {
		a.cache = certmagic.NewCache(certmagic.CacheOptions{
			GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.current(), nil },
			RenewCheckInterval: a.o.LookEvery,
			Logger:             a.log.logger(),
		})
	}
	config := certmagic.New(a.cache, certmagic.Config{
		Storage:        &certmagic.FileStorage{Path: filepath.Join(a.o.Dir, acmeDir)},
		OnEvent:        a.event,
		ShouldEmitFunc: func(event string) bool { return event != "tls_get_certificate" },
		Logger:         a.log.logger(),
	})
	a.issuers = nil
	for _, directory := range a.directories() {
		a.issuers = append(a.issuers, a.issuer(config, directory))
	}
	config.Issuers = nil
	for _, i := range a.issuers {
		config.Issuers = append(config.Issuers, i)
	}
	a.config = config
}

func (a *acme) directories() []string {
	if len(a.says.Directory) > 0 {
		return a.says.Directory
	}
	return []string{certmagic.LetsEncryptProductionCA}
}

// issuer returns the client of one authority.
func (a *acme) issuer(config *certmagic.Config, directory string) *certmagic.ACMEIssuer {
	i := certmagic.ACMEIssuer{CA: directory, Email: a.says.Email, Agreed: true, Logger: a.log.logger()}
	if a.says.CAFile != "" {
		i.TrustedRoots = x509.NewCertPool()
		pem, err := os.ReadFile(a.says.CAFile)
		if err != nil || !i.TrustedRoots.AppendCertsFromPEM(pem) {
			a.o.Log.Error("acme.ca_file has no certificate", "file", a.says.CAFile, "error", err)
		}
	}
	i.ListenHost, i.AltHTTPPort, i.AltTLSALPNPort = a.says.listeners()
	i.DisableHTTPChallenge, i.DisableTLSALPNChallenge = i.AltHTTPPort == 0, i.AltTLSALPNPort == 0
	return certmagic.NewACMEIssuer(config, i)
}

// listeners returns an address at which the front door answers challenges, and its ports
// without and with TLS; 0: none. certmagic tries to listen there, finds that somebody does,
// and does not listen itself.
func (says ACME) listeners() (host string, plain, secure int) {
	reach := func(addrs []net.Addr) (string, int) {
		for _, addr := range addrs {
			tcp, ok := addr.(*net.TCPAddr)
			if ok && tcp.IP.IsUnspecified() {
				return "127.0.0.1", tcp.Port
			}
			if ok {
				return tcp.IP.String(), tcp.Port
			}
		}
		return "", 0
	}
	host, secure = reach(says.TLS)
	plainHost, plain := reach(says.Plain)
	switch {
	case host == "":
		return plainHost, plain, 0
	case plainHost != host && plainHost != "127.0.0.1": // the challenge in a handshake is enough
		return host, 0, secure
	}
	return host, plain, secure
}

// current returns the configuration of now.
func (a *acme) current() *certmagic.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

// manage gets a certificate for a name and keeps it renewed. If there is one that was got
// in another way it serves on until there is a new one.
func (a *acme) manage(ctx context.Context, config *certmagic.Config, name string) {
	old := a.cache.AllMatchingCertificates(name)
	if len(old) == 0 {
		_ = config.ManageAsync(ctx, []string{name}) // its errors are events
		return
	}
	if config.ObtainCertAsync(ctx, name) != nil { // it is an event
		return
	}
	cert, err := config.CacheManagedCertificate(ctx, name)
	if err != nil {
		a.o.Log.Error("certificate cannot be used", "name", name, "error", err)
		return
	}
	for _, c := range old {
		if c.Hash() != cert.Hash() {
			a.cache.Remove([]string{c.Hash()})
		}
	}
}

// event is called by certmagic.
func (a *acme) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	a.mu.Lock()
	r := a.names[name]
	if r == nil || a.closed {
		a.mu.Unlock()
		return errNotWanted // which ends a request that is about to begin
	}
	e := Event{Site: r.site, Name: name}
	switch {
	case event == "cert_failed":
		e.Kind = "certificate failed"
		e.Err, _ = data["error"].(error)
		r.failed = &Failure{time.Now(), e.Err}
	case event == "cert_obtained" && renewal:
		e.Kind, r.failed = "certificate renewed", nil
	case event == "cert_obtained":
		e.Kind, r.failed = "certificate issued", nil
	}
	a.mu.Unlock()
	if e.Kind != "" && a.o.Event != nil {
		a.o.Event(e)
	}
	return nil
}

// challenge returns the certificate that answers an authority; nil: it has not asked.
func (a *acme) challenge(hello *tls.ClientHelloInfo) *tls.Certificate {
	cert, err := a.current().GetCertificate(hello)
	if err != nil {
		return nil
	}
	return cert
}

// answer answers a request of an authority, and reports whether it did.
func (a *acme) answer(w http.ResponseWriter, r *http.Request) bool {
	a.mu.Lock()
	issuers := a.issuers
	a.mu.Unlock()
	return slices.ContainsFunc(issuers, func(i *certmagic.ACMEIssuer) bool { return i.HandleHTTPChallenge(w, r) })
}

func (a *acme) close() {
	a.mu.Lock()
	a.closed = true
	for _, r := range a.names {
		r.stop()
	}
	cache := a.cache
	a.mu.Unlock()
	if cache != nil {
		stopped := make(chan struct{})
		go func() { // ends with a request that is under way, which has a limit of its own
			defer close(stopped)
			cache.Stop()
		}()
		select {
		case <-stopped:
		case <-time.After(closeTime):
		}
		certmagic.CleanUpOwnLocks(context.Background(), a.log.logger()) // or the next start waits for them
	}
}

// autoName has the certificate of one name that it was requested for.
type autoName struct {
	acme *acme
	name string
}

func (n autoName) certificate(string) *tls.Certificate {
	n.acme.mu.Lock()
	cache := n.acme.cache
	n.acme.mu.Unlock()
	if cache == nil {
		return nil
	}
	var newest *certmagic.Certificate
	for _, c := range cache.AllMatchingCertificates(n.name) {
		if newest == nil || c.Leaf.NotBefore.After(newest.Leaf.NotBefore) {
			newest = &c
		}
	}
	if newest == nil {
		return nil
	}
	return &newest.Certificate
}
