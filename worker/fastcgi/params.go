package fastcgi

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// headOf returns the head of a request, which the front door has checked and stripped.
func headOf(r *http.Request) *wire.Head {
	h := &wire.Head{
		Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, Query: r.URL.RawQuery, Proto: r.Proto,
		Host: r.Host, Scheme: r.URL.Scheme, Length: r.ContentLength,
		Fields: make([][2]string, 0, len(r.Header)),
	}
	if r.ContentLength == 0 && r.Header["Content-Length"] == nil {
		h.Length = -1
	}
	if r.URL.User != nil { // the front door has put it there
		h.User = r.URL.User.Username()
	}
	h.RemoteAddr, h.RemotePort, _ = net.SplitHostPort(r.RemoteAddr)
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == "" {
		h.Local = local.String()
	}
	for name, values := range r.Header {
		switch {
		case len(values) == 0, name == "Content-Length", name == "Host":
		case len(values) == 1:
			h.Fields = append(h.Fields, [2]string{name, values[0]})
		default:
			h.Fields = append(h.Fields, [2]string{name, strings.Join(values, wire.Separator(name))})
		}
	}
	return h
}

// appendParams appends the CGI variables of a request (RFC 3875, section 4.1) as
// name-value pairs; script is the prefix under which the site is mounted.
func appendParams(b []byte, h *wire.Head, script string) []byte {
	p := params{b: b}
	p.addAll(h, script)
	return p.b
}

// appendPacked appends the CGI variables as our own worker reads them fastest: one pair
// without a name, whose value is NAME NUL VALUE NUL NAME NUL VALUE and so on. Variables
// with the values that the worker assumes are left out. It returns false if a value
// contains a NUL.
func appendPacked(b []byte, h *wire.Head, script string) ([]byte, bool) {
	const prefix = 5 // the length of the empty name in one byte, that of the value in four
	p := params{b: append(b, 0, 0, 0, 0, 0), packed: true}
	p.addAll(h, script)
	content := p.b[len(b)+prefix:]
	if len(content) == 0 || bytes.Count(content, []byte{0}) != 2*p.n {
		return b, false
	}
	binary.BigEndian.PutUint32(p.b[len(b)+1:], uint32(len(content)-1)|1<<31)
	return p.b[:len(p.b)-1], true
}

// params appends CGI variables to b.
type params struct {
	b      []byte
	packed bool // see appendPacked
	n      int  // variables so far
}

func (p *params) add(name, value string) {
	p.n++
	if !p.packed {
		p.b = appendPair(p.b, name, value)
		return
	}
	p.b = append(append(p.b, name...), 0)
	p.b = append(append(p.b, value...), 0)
}

// addBut adds a variable, unless our own worker assumes that value.
func (p *params) addBut(usual, name, value string) {
	if !p.packed || value != usual {
		p.add(name, value)
	}
}

func (p *params) addAll(h *wire.Head, script string) {
	p.addBut("GET", "REQUEST_METHOD", h.Method)
	p.addBut(script, "SCRIPT_NAME", script)
	p.add("PATH_INFO", pathInfo(h.Path, script))
	p.addBut("", "QUERY_STRING", h.Query)
	p.add("REQUEST_URI", h.URI)
	p.addBut("HTTP/1.1", "SERVER_PROTOCOL", h.Proto)
	p.addServer(h)
	if h.RemoteAddr != "" {
		p.add("REMOTE_ADDR", h.RemoteAddr)
		p.add("REMOTE_PORT", h.RemotePort)
	}
	if h.User != "" {
		p.add("REMOTE_USER", h.User)
		p.add("AUTH_TYPE", "Basic")
	}
	if h.Length >= 0 {
		p.add("CONTENT_LENGTH", strconv.FormatInt(h.Length, 10))
	}
	if h.Host != "" {
		p.add("HTTP_HOST", h.Host)
	}
	for _, field := range h.Fields {
		switch name := field[0]; {
		case strings.EqualFold(name, "Proxy"): // CVE-2016-5385
		case strings.EqualFold(name, "Content-Type"):
			p.add("CONTENT_TYPE", field[1])
		default:
			p.addHeader(name, field[1])
		}
	}
}

// pathInfo returns what follows the mount point in path; "" for the mount point itself.
func pathInfo(path, script string) string {
	return strings.TrimPrefix(path, script)
}

// addServer adds the name and port that the client has addressed.
func (p *params) addServer(h *wire.Head) {
	scheme, port := "http", "80"
	if h.Scheme == "https" {
		scheme, port = "https", "443"
		p.add("HTTPS", "on")
	}
	host := h.Host
	if host == "" {
		host = h.Local // HTTP/1.0; PEP 3333 forbids an empty name or port
	}
	// The brackets of an IPv6 address are kept (RFC 3875, section 4.1.14).
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if i+1 < len(host) {
			port = host[i+1:]
		}
		host = host[:i]
	}
	p.addBut("http", "REQUEST_SCHEME", scheme)
	p.add("SERVER_NAME", host)
	p.addBut("80", "SERVER_PORT", port)
}

// addHeader adds a header as HTTP_NAME.
func (p *params) addHeader(name, value string) {
	p.n++
	if !p.packed {
		p.b = appendLength(p.b, len("HTTP_")+len(name))
		p.b = appendLength(p.b, len(value))
	}
	p.b = append(p.b, "HTTP_"...)
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-':
			p.b = append(p.b, '_')
		case 'a' <= c && c <= 'z':
			p.b = append(p.b, c-'a'+'A')
		default:
			p.b = append(p.b, c)
		}
	}
	if !p.packed {
		p.b = append(p.b, value...)
		return
	}
	p.b = append(append(append(p.b, 0), value...), 0)
}
