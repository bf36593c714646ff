package fastcgi

import (
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// headOf is the head of a request as the front door received it, checked and stripped.
func headOf(r *http.Request) *wire.Head {
	h := &wire.Head{
		Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, Query: r.URL.RawQuery, Proto: r.Proto,
		Host: r.Host, Scheme: r.URL.Scheme, Length: r.ContentLength,
		Fields: make([][2]string, 0, len(r.Header)),
	}
	if r.ContentLength == 0 && r.Header["Content-Length"] == nil {
		h.Length = -1
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
			h.Fields = append(h.Fields, [2]string{name, strings.Join(values, separator(name))})
		}
	}
	return h
}

// separator stands between the values of a repeated header (RFC 9110, section 5.3;
// cookies by RFC 6265).
func separator(name string) string {
	if name == "Cookie" {
		return "; "
	}
	return ", "
}

// appendParams appends the CGI variables of a request (RFC 3875, section 4.1) as
// name-value pairs; script is the prefix under which the site is mounted.
func appendParams(b []byte, h *wire.Head, script string) []byte {
	b = appendPair(b, "REQUEST_METHOD", h.Method)
	b = appendPair(b, "SCRIPT_NAME", script)
	b = appendPair(b, "PATH_INFO", pathInfo(h.Path, script))
	b = appendPair(b, "QUERY_STRING", h.Query)
	b = appendPair(b, "REQUEST_URI", h.URI)
	b = appendPair(b, "SERVER_PROTOCOL", h.Proto)
	b = appendServer(b, h)
	if h.RemoteAddr != "" {
		b = appendPair(b, "REMOTE_ADDR", h.RemoteAddr)
		b = appendPair(b, "REMOTE_PORT", h.RemotePort)
	}
	if h.Length >= 0 {
		b = appendPair(b, "CONTENT_LENGTH", strconv.FormatInt(h.Length, 10))
	}
	if h.Host != "" {
		b = appendPair(b, "HTTP_HOST", h.Host)
	}
	for _, field := range h.Fields {
		switch name := field[0]; {
		case strings.EqualFold(name, "Proxy"): // CVE-2016-5385
		case strings.EqualFold(name, "Content-Type"):
			b = appendPair(b, "CONTENT_TYPE", field[1])
		default:
			b = appendHTTPHeader(b, name, field[1])
		}
	}
	return b
}

// pathInfo is what follows the mount point; "" is the mount point itself.
func pathInfo(path, script string) string {
	return strings.TrimPrefix(path, script)
}

// appendServer appends the name and port that the client spoke to.
func appendServer(b []byte, h *wire.Head) []byte {
	scheme, port := "http", "80"
	if h.Scheme == "https" {
		scheme, port = "https", "443"
		b = appendPair(b, "HTTPS", "on")
	}
	host := h.Host
	if host == "" {
		host = h.Local // HTTP/1.0: neither may be empty, says PEP 3333
	}
	// The brackets of an IPv6 address stay, says RFC 3875, section 4.1.14.
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		if i+1 < len(host) {
			port = host[i+1:]
		}
		host = host[:i]
	}
	b = appendPair(b, "REQUEST_SCHEME", scheme)
	b = appendPair(b, "SERVER_NAME", host)
	return appendPair(b, "SERVER_PORT", port)
}

// appendHTTPHeader appends one header as HTTP_NAME.
func appendHTTPHeader(b []byte, name, value string) []byte {
	b = appendLength(b, len("HTTP_")+len(name))
	b = appendLength(b, len(value))
	b = append(b, "HTTP_"...)
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-':
			b = append(b, '_')
		case 'a' <= c && c <= 'z':
			b = append(b, c-'a'+'A')
		default:
			b = append(b, c)
		}
	}
	return append(b, value...)
}
