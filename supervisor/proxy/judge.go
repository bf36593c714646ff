package proxy

import (
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/worker/wire"
)

// judge applies the site's rules, unless the loop has, and reports whether the request goes
// on.
func (e *exchange) judge() (goOn bool) {
	var v rules.Verdict
	switch {
	case e.pending == nil:
		v = e.site.Rules.Judge(&rules.Request{
			Method: e.r.Method, URI: e.r.RequestURI, Path: e.r.URL.Path, Host: e.r.Host, Name: e.host, Scheme: e.scheme, Addr: e.clientAddr(),
			Authorization: func() string { return strings.Join(e.r.Header["Authorization"], ", ") },
		}, time.Now())
	case e.pending.Verdict != nil:
		v = *e.pending.Verdict
	default:
		v.User = e.pending.User
	}
	if v.Check != nil {
		v = v.Check.Run(e.r.Context())
	}
	if e.user = v.User; v.Answer != nil {
		e.answerByRule(v.Answer)
		return false
	}
	if e.user != "" {
		delete(e.r.Header, "Authorization") // the password is for us
	}
	return true
}

func (e *exchange) answerByRule(a *rules.Answer) {
	e.status = a.Status
	e.write(e.site.Answer(a, e.r.Method == http.MethodHead))
	if a.Status == http.StatusTooManyRequests {
		e.logRefusal(a.Why)
	}
}

// write writes an answer of the front door's own.
func (e *exchange) write(a *wire.Answer) {
	e.setWriteDeadline()
	h := e.w.Header()
	for _, f := range a.Fields {
		h.Set(f[0], f[1])
	}
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // or net/http waits for the rest of the body before it answers
	}
	e.w.WriteHeader(a.Status)
	n, _ := e.w.Write(a.Body) // fails if the client has left
	e.sent = int64(n)
}
