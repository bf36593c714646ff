package proxy

import (
	"net"
	"net/http"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
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
	pending *fastloop.Pending // what the loop has done of the request; nil: nothing, or it is used
	body    *spool.Body       // of the request; nil until it has arrived

	// Of the tries so far.
	failed  site.Claim // of the last try that failed; nil: none has
	err     error      // why it failed
	tries   int        // how many have failed
	reached bool       // one of them reached a worker
	worker  string     // the name of the last worker

	// Of the answer, for the access log.
	status int
	header http.Header // of the worker; nil: the front door itself has answered
	sent   int64       // bytes of body
}

// what returns the name of the request for logs: method and path without the query.
func (e *exchange) what() string { return site.WithoutQuery(e.r.Method + " " + e.r.RequestURI) }

func (e *exchange) entry(took time.Duration) site.Entry {
	return site.Entry{
		Client: e.clientAddr(), Line: e.r.Method + " " + e.r.RequestURI + " " + e.r.Proto, Referer: e.r.Referer(), Agent: e.r.UserAgent(),
		Time: e.start, Took: took, Status: e.status, Bytes: e.sent, Worker: e.worker,
	}
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
	// An error means a connection without deadlines, in tests.
	_ = http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(e.proxy.timeouts.Client))
}
