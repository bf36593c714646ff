package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// exchange is one request and its answer. The goroutine of the handler owns it; only pump
// runs beside that, and uses what does not change any more.
type exchange struct {
	// Set when the exchange begins.
	proxy   *Proxy
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time
	site    *site.Site        // nil: none has this name and path
	scheme  string            // the scheme that the client used
	host    string            // Host as the table of sites has it
	id      string            // X-Request-ID
	user    string            // whose password the request had; "": nobody's
	pending *fastloop.Pending // what the loop has done of the request; nil: nothing, or it is used
	upgrade string            // the protocol that the client wants instead of HTTP; "": none, or not possible
	body    *spool.Body       // of the request; nil until it has arrived

	admission site.Admission

	// Of the tries so far.
	failed  site.Claim // of the last try that failed; nil: none has
	err     error      // why it failed
	tries   int        // how many have failed
	reached bool       // one of them reached a worker
	worker  string     // the name of the last worker
	asked   time.Time  // when the first was asked for; zero: none was
	got     time.Time  // when the last began

	// Of the answer, if the site's may be compressed.
	plan   coding.Plan // what becomes of it
	length int64       // of its body, as the worker says; -1: it does not

	// Of the answer, for the access log.
	status int
	header http.Header // of the worker; nil: the front door itself has answered
	sent   int64       // bytes of body
	came   time.Time   // when the worker had given all of it; zero: it has not
	tunnel bool        // the answer was 101: the tunnel is logged when it ends
}

// what returns the name of the request for logs: method and path without the query.
func (e *exchange) what() string { return site.WithoutQuery(e.r.Method + " " + e.r.RequestURI) }

func (e *exchange) entry(took time.Duration) site.Entry {
	entry := site.Entry{
		Client: e.clientAddr(), Line: e.r.Method + " " + e.r.RequestURI + " " + e.r.Proto, Referer: e.r.Referer(), Agent: e.r.UserAgent(),
		Host: e.host, User: e.user, ID: e.id, Time: e.start, Took: took, Status: e.status, Bytes: e.sent, Worker: e.worker,
	}
	end := e.start.Add(took)
	if !e.asked.IsZero() {
		entry.Queue = end.Sub(e.asked)
	}
	if !e.got.IsZero() {
		entry.Queue = e.got.Sub(e.asked)
		if !e.came.IsZero() {
			end = e.came
		}
		entry.App = end.Sub(e.got)
	}
	if e.r.TLS != nil {
		entry.TLS = tls.VersionName(e.r.TLS.Version)
	}
	return entry
}

// setID gives the request the ID that the loop has given it, or that a trusted proxy says,
// or a new one. Any other's header was dropped.
func (e *exchange) setID(given string) {
	e.id = given
	if said := strings.Join(e.r.Header[httphead.RequestID], ", "); e.id == "" && httphead.ValidID(said) {
		e.id = said
	}
	if e.id == "" {
		e.id = httphead.NewID()
	}
	values := []string{e.id} // whoever changes a header replaces its values
	e.r.Header[httphead.RequestID] = values
	e.w.Header()[httphead.RequestID] = values
}

// clientAddr returns the address of the client without its port, which differs for
// every connection.
func (e *exchange) clientAddr() string {
	host, _, err := net.SplitHostPort(e.r.RemoteAddr)
	if err != nil {
		return e.r.RemoteAddr
	}
	return host
}

// setReadDeadline gives the client its time for the next read.
func (e *exchange) setReadDeadline() {
	// An error means a connection without deadlines, in tests.
	_ = http.NewResponseController(e.w).SetReadDeadline(time.Now().Add(e.proxy.timeouts.Client))
}

// setWriteDeadline gives the client its time for the next write.
func (e *exchange) setWriteDeadline() {
	e.progress()
	// An error means a connection without deadlines, in tests.
	_ = http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(e.proxy.timeouts.Client))
}
