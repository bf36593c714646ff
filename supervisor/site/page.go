package site

import (
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// What is a page. Longer answers are downloads, and slower ones would delay the start of
// workers that is to be made faster.
const (
	maxPage     = 1 << 20
	maxPageTime = time.Second
)

// CountPage counts a request of the loop in Asked if it was for a page. body is the length
// of the answer.
func (s *Site) CountPage(r *wire.Head, a *wire.Answer, took time.Duration, body int64) {
	if s.Asked == nil || a.Status != http.StatusOK || r.Method != http.MethodGet || len(r.Path) != len(r.URI) || r.User != "" {
		return
	}
	for _, f := range r.Fields {
		if identifies(f[0]) {
			return
		}
	}
	var v verdict
	for _, f := range a.Fields {
		v.look(f[0], f[1])
	}
	s.countPage(r.Path, v, took, body)
}

// CountPageOf is CountPage for an answer of net/http.
func (s *Site) CountPageOf(r *http.Request, status int, answer http.Header, took time.Duration, body int64) {
	if s.Asked == nil || status != http.StatusOK || r.Method != http.MethodGet || r.URL.Path != r.RequestURI {
		return
	}
	for name := range r.Header {
		if identifies(name) {
			return
		}
	}
	var v verdict
	for name, values := range answer {
		for _, value := range values {
			v.look(name, value)
		}
	}
	s.countPage(r.RequestURI, v, took, body)
}

func (s *Site) countPage(path string, v verdict, took time.Duration, body int64) {
	path = path[min(len(s.Mount), len(path)):]
	if v.isPage() && took <= maxPageTime && body <= maxPage {
		s.Asked.Count(path)
	}
}

// isWarmupPath reports whether a path, without a query, may be requested by a warm-up.
func isWarmupPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "%?#") && len(path) <= maxAskedPath
}

// identifies reports whether a header of a request tells who the visitor is. The name may
// be in any case.
func identifies(name string) bool {
	switch len(name) { // comparing takes longer
	case len("Cookie"):
		return strings.EqualFold(name, "Cookie")
	case len("Authorization"):
		return strings.EqualFold(name, "Authorization")
	}
	return false
}

// verdict collects what the header of an answer says about whether it is a page that a
// warm-up may request: one that is the same for all, and whose request changes nothing.
//
// An answer that sets a cookie has begun something, such as a session. A token against
// forged forms (CSRF) begins nothing: the cookie is all there is of it. So a page with a
// form that sets only that counts, although it says no-store because of the token.
type verdict struct {
	text     bool // it is a page rather than an image or a style sheet
	personal bool // Cache-Control has private or no-store
	token    bool // it sets a token against forged forms
	cookie   bool // it sets another cookie
}

func (v *verdict) isPage() bool { return v.text && !v.cookie && (!v.personal || v.token) }

// look takes notice of a header, whose name is in canonical form.
func (v *verdict) look(name, value string) {
	switch name {
	case "Content-Type":
		v.text = isText(value)
	case "Cache-Control":
		v.personal = v.personal || containsFold(value, "no-store") || containsFold(value, "private")
	case "Set-Cookie":
		cookie, _, _ := strings.Cut(value, "=")
		if containsFold(cookie, "csrf") || containsFold(cookie, "xsrf") {
			v.token = true
		} else {
			v.cookie = true
		}
	}
}

// isText reports whether a media type is one of pages and programming interfaces.
func isText(mediaType string) bool {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch mediaType {
	case "text/html", "application/json", "text/plain", "application/xhtml+xml", "text/xml", "application/xml":
		return true
	}
	return false
}

// containsFold reports whether s contains part, which is in lower case, in any case.
func containsFold(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
