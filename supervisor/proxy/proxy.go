// Package proxy is the front door's side of net/http: it carries each request to one of
// its site's workers and the answer back. Server joins it with a fastloop.Loop, which
// accepts the clients, answers simple requests itself and detaches the others.
//
// A worker is claimed when the whole request is here, and released when its whole
// answer is: a slow client, in either direction, never holds a worker. What does
// not fit in memory waits in a temporary file. A request is sent a second time
// only if that cannot do anything twice. An answer that a worker truncated
// never ends as if it were whole.
//
// The proxy knows no pool, no process and no protocol of workers: a site.Backend does.
package proxy

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/supervisor/static"
	"github.com/multisite/multisite/supervisor/tunnel"
)

// Timeouts are how long a client may take. 0 is the default: 10 s, 75 s and 60 s.
type Timeouts = fastloop.Timeouts

// Options are what a Proxy is made of. The zero value is valid.
type Options struct {
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For and -Proto are believed
	Timeouts       Timeouts
	Limits         fastloop.Limits
	SpoolDir       string // for bodies too large for memory; "": the system's
	Log            *slog.Logger
	TLS            *tls.Config // for ServeTLS
	// Covers reports whether a client that has asked for one server name in its TLS
	// handshake may send requests for another host; nil: any.
	Covers func(asked, host string) bool
	// HasCertificate reports whether a client can speak TLS with a host; nil: it cannot.
	HasCertificate func(host string) bool
	// Challenge answers a question of an authority, and reports whether it did; nil: none.
	Challenge func(w http.ResponseWriter, r *http.Request, host string) bool
	// Local returns what a person on this machine can open, for a list that only those see
	// who ask for localhost on the address of a listener that it returns something for; nil:
	// there is no list.
	Local   func(listener net.Addr) []Link
	Refused func(site.Refusal) // is called for every request that the front door answers for itself; must not wait; may be nil
}

// Proxy is an http.Handler for all sites. Any goroutine may use it.
type Proxy struct {
	table site.CurrentTable

	// Set by New, never changed.
	trusted  []netip.Prefix
	local    func(net.Addr) []Link // may be nil
	timeouts Timeouts
	limits   fastloop.Limits
	store    *spool.Store
	files    *static.Files
	log      *slog.Logger
	tls      *tls.Config
	covers   func(asked, host string) bool                                  // may be nil
	hasCert  func(host string) bool                                         // may be nil
	answers  func(w http.ResponseWriter, r *http.Request, host string) bool // questions of an authority; may be nil
	refused  func(site.Refusal)                                             // may be nil

	tunnels tunnel.Set
}

// New returns a Proxy that knows no site yet.
func New(o Options) *Proxy {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{trusted: o.TrustedProxies, local: o.Local, timeouts: orDefault(o.Timeouts), limits: o.Limits, log: o.Log, tls: o.TLS, covers: o.Covers, hasCert: o.HasCertificate, answers: o.Challenge, refused: o.Refused, store: spool.NewStore(o.SpoolDir), files: static.New()}
	return p
}

func orDefault(t Timeouts) Timeouts {
	return Timeouts{
		Header: cmp.Or(t.Header, 10*time.Second),
		Idle:   cmp.Or(t.Idle, 75*time.Second),
		Client: cmp.Or(t.Client, 60*time.Second),
	}
}

// SetTable replaces the sites for all requests that begin from now on.
func (p *Proxy) SetTable(t *site.Table) {
	p.table.Set(t)
	p.files.Clear()
}

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := exchange{proxy: p, w: w, r: r, start: time.Now()}
	if c := detachedOf(r); c != nil {
		r.TLS = c.TLS()
	}
	e.progress()
	if pending := pendingOf(r); pending != nil {
		e.carryOn(pending)
		return
	}
	if r.ContentLength != 0 {
		e.setReadDeadline() // net/http reads what is left of a body when we are done
	}
	links := p.linksFor(r) // before strip, which hides who has sent it
	scheme := toOrigin(r)
	e.strip()
	e.setID("")
	host, err := httphead.NormalizeHost(r.Host)
	if e.host = host; err != nil {
		e.fail(http.StatusBadRequest, "bad Host header", err)
		return
	}
	if p.isMisdirected(r.TLS, host) {
		e.fail(http.StatusMisdirectedRequest, "the certificate that the client has seen is not for this name", nil)
		return
	}
	s, known := p.table.Lookup(host, r.URL.Path)
	switch {
	case r.RequestURI == "*":
		e.answerOptions()
		return
	case s != nil:
		e.site = s
	case known:
		e.fail(http.StatusNotFound, "no site of this host has this path", nil)
		return
	case len(links) > 0 && isLocalHost(host):
		e.list(links)
		return
	default:
		e.fail(http.StatusMisdirectedRequest, "no site has this name", nil)
		return
	}
	if scheme == "https" && e.scheme != scheme { // RFC 9110, section 7.4
		e.fail(http.StatusBadRequest, "the scheme of the target", nil)
		return
	}
	if s.Diverts(e.scheme, r.URL.Path) && e.divert() {
		return
	}
	e.serve()
}

// carryOn answers a request that the loop has begun.
func (e *exchange) carryOn(p *fastloop.Pending) {
	e.site, e.pending, e.start, e.host, e.user, e.asked = p.Site, p, p.Start, p.Host, p.User, p.Asked
	e.strip()
	e.setID(p.ID)
	e.serve()
}

// strip drops headers that only a proxy may send, and those of the connection.
func (e *exchange) strip() {
	e.scheme = httphead.SetClient(e.r, e.proxy.trusted)
	e.upgrade = wantedProtocol(e.r)
	httphead.StripHop(e.r.Header)
	delete(e.r.Header, "Expect") // net/http has answered it
}
