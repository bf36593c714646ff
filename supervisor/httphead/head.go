package httphead

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// MaxLength is how many bytes the head of a request may have.
const MaxLength = 64 << 10

// Error is why a request is refused by its head, or before it has one. The connection is
// closed after the answer, because it is not certain where the next request begins.
type Error struct {
	Status int    // of the answer
	Why    string // for the log; fixed text, never the client's
}

func (e *Error) Error() string { return e.Why }

// BadRequest returns an Error with status 400.
func BadRequest(why string) *Error { return &Error{http.StatusBadRequest, why} }

// Length returns the length of the head that data begins with, 0 if it is not complete.
// The first seen bytes were looked at by an earlier call.
func Length(data []byte, seen int) (int, *Error) {
	if len(data) > 0 && data[0] == 0x16 { // the first byte of a TLS handshake
		return 0, BadRequest("TLS, where HTTP is spoken")
	}
	if len(data) > 0 && string(data) != "\r" && !httpguts.IsTokenRune(rune(data[0])) {
		return 0, BadRequest("not HTTP")
	}
	for end := seen; ; {
		i := bytes.IndexByte(data[end:], '\n')
		switch end += i + 1; {
		case i < 0:
			return 0, nil
		case end < 2 || data[end-2] != '\r':
			return 0, BadRequest("a line of the head ends with LF, not CRLF")
		case bytes.HasSuffix(data[:end], []byte("\r\n\r\n")):
			return end, nil
		}
	}
}

// Read returns where the request with this head ends (RFC 9112, section 6), and refuses
// a head that others could read in another way. net/http reads the head, too, but gets
// no byte after that end.
func Read(text string) (BodyEnd, *Error) {
	var h head
	line, text, _ := strings.Cut(text, "\r\n")
	if err := h.readLine(line); err != nil {
		return BodyEnd{}, err
	}
	for {
		if line, text, _ = strings.Cut(text, "\r\n"); line == "" {
			break
		}
		name, value, ok := readField(line)
		if !ok {
			return BodyEnd{}, BadRequest("malformed header line")
		}
		h.note(name, value)
	}
	if err := h.checkHost(); err != nil {
		return BodyEnd{}, err
	}
	return h.end()
}

// head is what says where a request ends and whom it is for.
type head struct {
	method, target string
	old            bool     // HTTP/1.0
	hosts          []string // one for each Host header
	lengths        []string // one for each Content-Length
	codings        []string // of all Transfer-Encoding headers, in lower case
}

func (h *head) readLine(line string) *Error {
	var version string
	var ok bool
	if h.method, line, ok = strings.Cut(line, " "); ok {
		h.target, version, ok = strings.Cut(line, " ")
	}
	if !ok || !httpguts.ValidHeaderFieldName(h.method) { // method and field name are both tokens
		return BadRequest("malformed request line")
	}
	if h.method == http.MethodConnect || h.method == "PRI" {
		return &Error{http.StatusMethodNotAllowed, "a method of proxies"}
	}
	if !validTarget(h.method, h.target) {
		return BadRequest("malformed request target")
	}
	h.old = version == "HTTP/1.0"
	return checkVersion(version)
}

func checkVersion(version string) *Error {
	major, minor, ok := http.ParseHTTPVersion(version)
	switch {
	case !ok:
		return BadRequest("malformed request line")
	case major != 1:
		return &Error{http.StatusHTTPVersionNotSupported, "HTTP/" + strconv.Itoa(major) + "." + strconv.Itoa(minor)}
	}
	return nil
}

// validTarget accepts a path, the URL of a site, and the star of OPTIONS (RFC 9112,
// section 3.2).
func validTarget(method, target string) bool {
	if target == "*" {
		return method == http.MethodOptions
	}
	u, err := url.ParseRequestURI(target)
	switch {
	case err != nil:
		return false
	case strings.HasPrefix(target, "/"):
		return true
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func (h *head) note(name, value string) {
	switch {
	case strings.EqualFold(name, "Host"):
		h.hosts = append(h.hosts, value)
	case strings.EqualFold(name, "Content-Length"):
		h.lengths = append(h.lengths, value)
	case strings.EqualFold(name, "Transfer-Encoding"):
		for coding := range strings.SplitSeq(value, ",") {
			h.codings = append(h.codings, strings.ToLower(strings.Trim(coding, " \t")))
		}
	}
}

func (h *head) checkHost() *Error {
	if len(h.hosts) > 1 || len(h.hosts) == 0 && !h.old || len(h.hosts) == 1 && !httpguts.ValidHostHeader(h.hosts[0]) {
		return BadRequest("not one valid Host")
	}
	return nil
}

// end returns where the body ends: after one length, or after the last chunk. A request
// that has both, or chunks in HTTP/1.0, is an attempt at request smuggling.
func (h *head) end() (BodyEnd, *Error) {
	last := len(h.codings) - 1
	switch {
	case len(h.lengths) > 1:
		return BodyEnd{}, BadRequest("Content-Length twice")
	case last >= 0 && len(h.lengths) > 0:
		return BodyEnd{}, BadRequest("Content-Length and Transfer-Encoding")
	case last >= 0 && h.old:
		return BodyEnd{}, BadRequest("Transfer-Encoding in HTTP/1.0")
	case last >= 0 && slices.Index(h.codings, "chunked") != last:
		return BodyEnd{}, BadRequest("Transfer-Encoding does not end with chunked, once")
	case last > 0:
		return BodyEnd{}, &Error{http.StatusNotImplemented, "a Transfer-Encoding beside chunked"}
	case last == 0:
		return BodyEnd{chunks: &chunks{}}, nil
	case len(h.lengths) == 0:
		return BodyEnd{}, nil
	}
	length, err := strconv.ParseUint(h.lengths[0], 10, 63)
	if err != nil {
		return BodyEnd{}, BadRequest("malformed Content-Length")
	}
	return BodyEnd{left: int64(length)}, nil
}
