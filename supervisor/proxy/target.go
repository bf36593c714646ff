package proxy

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/multisite/multisite/supervisor/errorpage"
)

// toOrigin makes of a target that is a URL what it would be without scheme and host,
// and returns the scheme. net/http has put the host in r.Host: it beats the header
// (RFC 9112, section 3.2.2).
func toOrigin(r *http.Request) (scheme string) {
	_, rest, ok := strings.Cut(r.RequestURI, "://")
	if !ok || strings.HasPrefix(r.RequestURI, "/") {
		return ""
	}
	r.RequestURI = "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		r.RequestURI = "/" + strings.TrimPrefix(rest[i:], "/")
	}
	scheme = r.URL.Scheme
	r.URL.Scheme, r.URL.Host, r.URL.Path = "", "", cmp.Or(r.URL.Path, "/")
	return scheme
}

// answerOptions answers OPTIONS *.
func (e *exchange) answerOptions() {
	h := e.w.Header()
	h.Set("Allow", errorpage.AllowedMethods)
	h.Set("Content-Length", "0")
	if e.r.ContentLength != 0 {
		h.Set("Connection", "close") // as in writePage
	}
	e.setWriteDeadline()
	e.w.WriteHeader(http.StatusOK)
}
