package proxy

import (
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

const (
	simpleHead   = 8 << 10 // a longer head is not simple
	simpleFields = 48
)

// simple is a request that the Loop can answer: GET or HEAD over HTTP/1.1, without
// a body, with nothing in it that could be read in two ways. What is not simple is
// for net/http to judge, so this may refuse what is right, but never accept what
// net/http would not, nor understand it differently.
type simple struct {
	wire.Head
	text    string // all of it
	line    string // "GET / HTTP/1.1"
	referer string
	agent   string
	last    bool // the client wants the connection closed
	trusted bool // it comes from a proxy that may speak for others
}

// parseSimple reads a request that fills data from its first to its last byte.
// trusted: it comes from a proxy that may speak for others.
func parseSimple(data []byte, trusted bool) (r simple, ok bool) {
	if len(data) > simpleHead {
		return r, false
	}
	r.text, r.trusted = string(data), trusted
	text, ok := strings.CutSuffix(r.text, "\r\n\r\n")
	if !ok {
		return r, false
	}
	r.line, text, _ = strings.Cut(text, "\r\n")
	if !r.parseLine() {
		return r, false
	}
	r.Scheme, r.Length = "http", -1
	r.Fields = make([][2]string, 0, strings.Count(text, "\n")+1)
	for text != "" {
		var field string
		field, text, _ = strings.Cut(text, "\r\n")
		if len(r.Fields) == simpleFields || !r.parseField(field) {
			return r, false
		}
	}
	return r, r.Host != ""
}

func (r *simple) what() string { return site.WithoutQuery(strings.TrimSuffix(r.line, " HTTP/1.1")) }

// parseLine reads the request line. A path with a percent sign has two forms.
func (r *simple) parseLine() bool {
	var ok bool
	if r.Method, r.URI, ok = strings.Cut(r.line, " "); !ok || r.Method != "GET" && r.Method != "HEAD" {
		return false
	}
	if r.URI, ok = strings.CutSuffix(r.URI, " HTTP/1.1"); !ok {
		return false
	}
	r.Proto = "HTTP/1.1"
	for i := range len(r.URI) {
		if c := r.URI[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	r.Path, r.Query, _ = strings.Cut(r.URI, "?")
	return strings.HasPrefix(r.Path, "/") && !strings.HasPrefix(r.Path, "//") && !strings.Contains(r.Path, "%")
}

// parseField reads a header line, and drops what clientOf does.
func (r *simple) parseField(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return false
	}
	switch {
	case strings.EqualFold(name, "Host"):
		ok = r.Host == "" && value != ""
		r.Host = value
		return ok
	case strings.EqualFold(name, "Connection"):
		last := strings.EqualFold(value, "close")
		r.last = r.last || last
		return last || strings.EqualFold(value, "keep-alive")
	case notSimple(name):
		return false
	case strings.Contains(name, "_"), !r.trusted && httphead.OnlyProxy(name):
		return true
	case strings.EqualFold(name, "Referer"):
		r.referer = value
	case strings.EqualFold(name, "User-Agent"):
		r.agent = value
	}
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], name) { // repeated ones are joined elsewhere
			return false
		}
	}
	r.Fields = append(r.Fields, [2]string{name, value})
	return true
}

// notSimple tells whether a header promises a body, or concerns the connection, or
// makes net/http add another one (Pragma).
func notSimple(name string) bool {
	switch len(name) {
	case len("Pragma"):
		return strings.EqualFold(name, "Pragma") || strings.EqualFold(name, "Expect")
	case len("Content-Length"):
		return strings.EqualFold(name, "Content-Length")
	}
	for _, hop := range wire.HopHeaders {
		if strings.EqualFold(name, hop) {
			return true
		}
	}
	return false
}
