package fastloop

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

const (
	maxSimpleHead   = 8 << 10
	maxSimpleFields = 48
)

// simple is a request that the loop can answer: GET or HEAD over HTTP/1.1, without
// a body, with nothing in it that could be read in two ways. Everything else is for
// net/http to judge. So this may reject a correct request, but never accept one that
// httphead.Read or net/http would refuse, nor understand it differently.
type simple struct {
	wire.Head
	text    string // the whole request
	line    string // "GET / HTTP/1.1"
	referer string
	agent   string
	last    bool // the client wants the connection closed
	trusted bool // the peer is a proxy that may speak for others
}

// parseSimple parses a request that fills data from its first to its last byte.
// trusted: the peer is a proxy that may speak for others.
func parseSimple(data []byte, trusted bool) (r simple, ok bool) {
	if len(data) > maxSimpleHead {
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
		if len(r.Fields) == maxSimpleFields || !r.parseField(field) {
			return r, false
		}
	}
	return r, r.Host != ""
}

// what returns the name of the request for logs: method and path without the query.
func (r *simple) what() string { return site.WithoutQuery(strings.TrimSuffix(r.line, " HTTP/1.1")) }

// parseLine parses the request line. A path with a percent sign has two forms, so it is
// not simple.
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

// parseField parses a header line. It drops the same headers as net/http's side does.
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
		if strings.EqualFold(f[0], name) { // net/http's side joins repeated ones
			return false
		}
	}
	r.Fields = append(r.Fields, [2]string{name, value})
	return true
}

// notSimple reports whether a header announces a body, concerns the connection, or makes
// net/http add another one (Pragma).
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

// setForwarded sets the client's address and scheme to what trusted proxies say. Each
// header is there at most once.
func (r *simple) setForwarded(trusted []netip.Prefix) {
	var f httphead.Forwarded
	for _, field := range r.Fields {
		switch name, value := field[0], field[1]; {
		case !httphead.OnlyProxy(name):
		case strings.EqualFold(name, "X-Forwarded-For"):
			f.For = value
		case strings.EqualFold(name, "X-Forwarded-Proto"):
			f.Proto = value
		case strings.EqualFold(name, "X-Forwarded-Host"):
			f.Host = value
		case strings.EqualFold(name, "Forwarded"):
			f.Elements = value
		}
	}
	c := f.Client(trusted)
	if f.Legacy() {
		r.Fields = slices.DeleteFunc(r.Fields, func(field [2]string) bool { return strings.EqualFold(field[0], "Forwarded") })
	}
	if c.Host != "" {
		r.Fields = append(r.Fields, [2]string{"X-Forwarded-Host", c.Host})
	}
	if c.Addr != "" {
		r.RemoteAddr, r.RemotePort = c.Addr, c.Port
	}
	r.Scheme = cmp.Or(c.Scheme, r.Scheme)
}
