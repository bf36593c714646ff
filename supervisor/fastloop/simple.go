package fastloop

import (
	"cmp"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

const (
	maxSimpleHead  = 8 << 10
	maxSimpleLines = 49
	maxSimpleBody  = 128 << 10
)

// simple is a request that the loop can answer: over HTTP/1.1, with a body of a known
// length or without one, with nothing in it that could be read in two ways. Everything
// else is for net/http to judge. So this may reject a correct request, but never accept
// one that httphead.Read or net/http would refuse, nor understand it differently.
type simple struct {
	wire.Head
	text    string // the head
	id      string // X-Request-ID: of a trusted proxy, or our own
	host    string // Host as the table of sites has it
	line    string // "GET / HTTP/1.1"
	referer string
	agent   string
	last    bool // the client wants the connection closed
	noCache bool // Pragma says so
	trusted bool // the peer is a proxy that may speak for others
}

// parseSimple parses the head of a request. trusted: the peer is a proxy that may speak
// for others.
func parseSimple(head []byte, trusted bool) (r simple, ok bool) {
	if len(head) > maxSimpleHead {
		return r, false
	}
	r.text, r.id = withID(head)
	r.trusted = trusted
	text, ok := strings.CutSuffix(r.text, "\r\n\r\n")
	if !ok {
		return r, false
	}
	r.line, text, _ = strings.Cut(text, "\r\n")
	if !r.parseLine() {
		return r, false
	}
	r.Scheme, r.Length = "http", -1
	lines := strings.Count(text, "\n") + 1
	if lines > maxSimpleLines {
		return r, false
	}
	r.Fields = make([][2]string, 0, lines+1)
	for text != "" {
		var field string
		field, text, _ = strings.Cut(text, "\r\n")
		if !r.parseField(field) {
			return r, false
		}
	}
	if r.noCache && !r.hasField("Cache-Control") {
		r.Fields = append(r.Fields, [2]string{"Cache-Control", "no-cache"}) // as net/http does
	}
	r.setID()
	return r, r.Host != ""
}

// withID returns a head as a string, and a new request ID, in one piece of memory.
func withID(head []byte) (text, id string) {
	var room [64]byte
	made := httphead.AppendID(room[:0])
	var both strings.Builder
	both.Grow(len(head) + len(made))
	both.Write(head)
	both.Write(made)
	return both.String()[:len(head)], both.String()[len(head):]
}

// setID makes the header X-Request-ID, which only a trusted proxy can have sent, the ID of
// the request, or the other way round.
func (r *simple) setID() {
	if r.trusted {
		for i, f := range r.Fields {
			if isName(f[0], httphead.RequestID) {
				if httphead.ValidID(f[1]) {
					r.id = f[1]
				}
				r.Fields[i][1] = r.id
				return
			}
		}
	}
	r.Fields = append(r.Fields, [2]string{httphead.RequestID, r.id})
}

// what returns the name of the request for logs: method and path without the query.
func (r *simple) what() string { return site.WithoutQuery(strings.TrimSuffix(r.line, " HTTP/1.1")) }

// parseLine parses the request line.
func (r *simple) parseLine() bool {
	var ok bool
	if r.Method, r.URI, ok = strings.Cut(r.line, " "); !ok || !isSimpleMethod(r.Method) {
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
	if !strings.HasPrefix(r.Path, "/") || strings.HasPrefix(r.Path, "//") {
		return false
	}
	var err error
	if strings.Contains(r.Path, "%") {
		r.Path, err = url.PathUnescape(r.Path)
	}
	return err == nil
}

// isSimpleMethod accepts methods in capitals, but for those of proxies.
func isSimpleMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return true
	case "", http.MethodConnect, "PRI":
		return false
	}
	return strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// parseField parses a header line. It drops the same headers as net/http's side does.
func (r *simple) parseField(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return false
	}
	switch {
	case isName(name, "Host"):
		ok = r.Host == "" && value != ""
		r.Host = value
		return ok
	case isName(name, "Connection"):
		last := strings.EqualFold(value, "close")
		r.last = r.last || last
		return last || strings.EqualFold(value, "keep-alive")
	case isName(name, "Content-Length"):
		return r.parseLength(value)
	case notSimple(name):
		return false
	case strings.Contains(name, "_"), !r.trusted && httphead.OnlyProxy(name):
		return true
	}
	r.addField(name, value)
	return true
}

// isName is strings.EqualFold for names of headers, which are ASCII. Nearly all differ in
// length.
func isName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// parseLength parses the length of the body, and refuses a second one.
func (r *simple) parseLength(value string) bool {
	if r.Length >= 0 || value == "" || len(value) > len("131072") {
		return false
	}
	r.Length = 0
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return false
		}
		r.Length = 10*r.Length + int64(c-'0')
	}
	return r.Length <= maxSimpleBody
}

// addField adds a header. Repeated ones are joined, as net/http's side does.
func (r *simple) addField(name, value string) {
	for i, f := range r.Fields {
		if isName(f[0], name) {
			r.Fields[i][1] += wire.Separator(name) + value
			return
		}
	}
	r.Fields = append(r.Fields, [2]string{name, value})
	switch {
	case isName(name, "Referer"):
		r.referer = value
	case isName(name, "User-Agent"):
		r.agent = value
	case isName(name, "Pragma"):
		r.noCache = value == "no-cache"
	}
}

// field returns the value of a header; "" if there is none.
func (r *simple) field(name string) string {
	for _, f := range r.Fields {
		if isName(f[0], name) {
			return f[1]
		}
	}
	return ""
}

func (r *simple) hasField(name string) bool {
	return slices.ContainsFunc(r.Fields, func(f [2]string) bool { return strings.EqualFold(f[0], name) })
}

// notSimple reports whether a header concerns the connection, or how a body comes.
func notSimple(name string) bool {
	if isName(name, "Expect") {
		return true
	}
	for _, hop := range wire.HopHeaders {
		if isName(name, hop) {
			return true
		}
	}
	return false
}

// setForwarded sets the client's address and scheme to what trusted proxies say.
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
