package proxy

import (
	"cmp"
	"net/http"
	"strings"
)

// toOrigin removes scheme and host from a target that is a URL, and returns the scheme.
// net/http has put the host into r.Host: it beats the header (RFC 9112, section 3.2.2).
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
