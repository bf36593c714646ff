package fastcgi

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// appendParams appends the CGI variables of a request (RFC 3875, section 4.1)
// as name-value pairs. r is the request as the front door received it, checked
// and stripped; script is the prefix under which the site is mounted.
func appendParams(b []byte, r *http.Request, script string, length int64) []byte {
	b = appendPair(b, "REQUEST_METHOD", r.Method)
	b = appendPair(b, "SCRIPT_NAME", script)
	b = appendPair(b, "PATH_INFO", pathInfo(r.URL.Path, script))
	b = appendPair(b, "QUERY_STRING", r.URL.RawQuery)
	b = appendPair(b, "REQUEST_URI", r.RequestURI)
	b = appendPair(b, "SERVER_PROTOCOL", r.Proto)
	b = appendServer(b, r)
	if host, port, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		b = appendPair(b, "REMOTE_ADDR", host)
		b = appendPair(b, "REMOTE_PORT", port)
	}
	if length > 0 || length == 0 && r.Header["Content-Length"] != nil {
		b = appendPair(b, "CONTENT_LENGTH", strconv.FormatInt(length, 10))
	}
	if r.Host != "" {
		b = appendPair(b, "HTTP_HOST", r.Host)
	}
	for name, values := range r.Header {
		if len(values) == 0 {
			continue
		}
		switch name {
		case "Content-Length", "Proxy", "Host": // Proxy: CVE-2016-5385
		case "Content-Type":
			b = appendPair(b, "CONTENT_TYPE", values[0])
		default:
			b = appendHTTPHeader(b, name, values)
		}
	}
	return b
}

// pathInfo is what follows the mount point; "" is the mount point itself.
func pathInfo(path, script string) string {
	return strings.TrimPrefix(path, script)
}

// appendServer appends the name and port that the client spoke to.
func appendServer(b []byte, r *http.Request) []byte {
	scheme, port := "http", "80"
	if r.URL.Scheme == "https" {
		scheme, port = "https", "443"
		b = appendPair(b, "HTTPS", "on")
	}
	host := r.Host
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && host == "" {
		host = local.String() // HTTP/1.0: neither may be empty, says PEP 3333
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

// appendHTTPHeader appends one header as HTTP_NAME, repeated ones joined as
// RFC 9110, section 5.3 says (cookies by RFC 6265).
func appendHTTPHeader(b []byte, name string, values []string) []byte {
	value := values[0]
	if len(values) > 1 {
		sep := ", "
		if name == "Cookie" {
			sep = "; "
		}
		value = strings.Join(values, sep)
	}
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
