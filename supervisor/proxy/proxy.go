// Package proxy is the front door: it reads HTTP/1.1 requests, picks the site by
// server name, and carries each request to one of the site's workers and the
// answer back.
//
// A worker is claimed when the whole request is here, and let go when its whole
// answer is: a slow client, in either direction, never holds a worker. What does
// not fit in memory waits in a temporary file. A request is sent a second time
// only where that can not do anything twice. An answer that a worker broke off
// never ends as if it were whole.
//
// The proxy knows no pool, no process and no protocol: a Backend does.
package proxy

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// Proxy is an http.Handler for all sites.
type Proxy struct {
	table    atomic.Pointer[site.Table]
	trusted  []netip.Prefix
	timeouts Timeouts
	buffers  sync.Pool // of *[CopySize]byte, for answers that come in pieces
	store    *spool.Store
	log      *slog.Logger
	refused  func(site.Refusal)
}

// Timeouts are how long a client may take.
type Timeouts struct {
	Header time.Duration // for the head of a request, and to begin the first; 0: 10 s
	Idle   time.Duration // from one request of a connection to the next; 0: 75 s
	Client time.Duration // to send or to take the next piece of a body; 0: 60 s
}

// Options are what a Proxy is made of.
type Options struct {
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For and -Proto are believed
	Timeouts       Timeouts
	SpoolDir       string // for bodies too large for memory; "": the system's
	Log            *slog.Logger
	Refused        func(site.Refusal) // told of every request that the front door answers for itself; nil: nobody is
}

// New returns a Proxy that knows no site yet.
func New(o Options) *Proxy {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{trusted: o.TrustedProxies, timeouts: o.Timeouts.orDefault(), log: o.Log, refused: o.Refused, store: spool.NewStore(o.SpoolDir)}
	p.buffers.New = func() any { return new([spool.CopySize]byte) }
	p.table.Store(site.NewTable(nil))
	return p
}

func (t Timeouts) orDefault() Timeouts {
	return Timeouts{
		Header: cmp.Or(t.Header, 10*time.Second),
		Idle:   cmp.Or(t.Idle, 75*time.Second),
		Client: cmp.Or(t.Client, 60*time.Second),
	}
}

// SetTable replaces the sites for all requests that begin from now on.
func (p *Proxy) SetTable(t *site.Table) { p.table.Store(t) }

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := exchange{proxy: p, w: w, r: r, start: time.Now()}
	if begun := pendingOf(r); begun != nil {
		e.goOn(begun)
		return
	}
	if r.ContentLength != 0 {
		e.setReadDeadline() // net/http reads what is left of a body when we are done
	}
	scheme := toOrigin(r)
	e.strip()
	host, err := httphead.NormalizeHost(r.Host)
	if err != nil {
		e.fail(http.StatusBadRequest, "bad Host header", err)
		return
	}
	site, known := p.table.Load().Lookup(host, r.URL.Path)
	switch {
	case r.RequestURI == "*":
		e.answerOptions()
		return
	case site != nil:
		e.site = site
	case known:
		e.fail(http.StatusNotFound, "no site of this host has this path", nil)
		return
	default:
		e.fail(http.StatusMisdirectedRequest, "no site has this name", nil)
		return
	}
	if scheme == "https" && e.scheme != scheme { // RFC 9110, section 7.4
		e.fail(http.StatusBadRequest, "the scheme of the target", nil)
		return
	}
	e.serve()
}

// goOn answers a request that the Loop has begun.
func (e *exchange) goOn(begun *pending) {
	e.site, e.begun, e.start = begun.site, begun, begun.start
	e.strip()
	e.serve()
}

// strip drops what only a proxy may say, and what concerns the connection.
func (e *exchange) strip() {
	e.scheme = clientOf(e.r, e.proxy.trusted)
	stripHop(e.r.Header)
	delete(e.r.Header, "Expect") // we answer it ourselves
}
