package proxy

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// headEnd returns the length of the head that data begins with, 0 when it is not whole.
// The first bytes of it were looked at before.
func headEnd(data []byte, before int) (int, *refusal) {
	if len(data) > 0 && data[0] == 0x16 { // the first byte of a TLS handshake
		return 0, badRequest("TLS, where HTTP is spoken")
	}
	if len(data) > 0 && string(data) != "\r" && !httpguts.IsTokenRune(rune(data[0])) {
		return 0, badRequest("not HTTP")
	}
	for end := before; ; {
		i := bytes.IndexByte(data[end:], '\n')
		switch end += i + 1; {
		case i < 0:
			return 0, nil
		case end < 2 || data[end-2] != '\r':
			return 0, badRequest("a line of the head ends with LF, not CRLF")
		case bytes.HasSuffix(data[:end], []byte("\r\n\r\n")):
			return end, nil
		}
	}
}

// readHead says where the request with this head ends (RFC 9112, section 6), and refuses
// what others could read in another way. net/http reads it, too, and gets no byte of
// what comes behind that end. What parseSimple accepts is a part of what this does.
func readHead(text string) (bodyEnd, *refusal) {
	var h head
	line, text, _ := strings.Cut(text, "\r\n")
	if err := h.readLine(line); err != nil {
		return bodyEnd{}, err
	}
	for {
		if line, text, _ = strings.Cut(text, "\r\n"); line == "" {
			break
		}
		name, value, ok := readField(line)
		if !ok {
			return bodyEnd{}, badRequest("malformed header line")
		}
		h.note(name, value)
	}
	if err := h.checkHost(); err != nil {
		return bodyEnd{}, err
	}
	return h.end()
}

// readField reads a header line. One that continues the line before is none.
func readField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	return name, value, ok && httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
}

// head is what tells of a request where it ends and whom it is for.
type head struct {
	method, target string
	old            bool // HTTP/1.0
	hosts          []string
	lengths        []string // Content-Length
	codings        []string // Transfer-Encoding
}

func (h *head) readLine(line string) *refusal {
	var version string
	var ok bool
	if h.method, line, ok = strings.Cut(line, " "); ok {
		h.target, version, ok = strings.Cut(line, " ")
	}
	if !ok || !httpguts.ValidHeaderFieldName(h.method) { // both are tokens
		return badRequest("malformed request line")
	}
	if h.method == http.MethodConnect || h.method == "PRI" {
		return &refusal{http.StatusMethodNotAllowed, "a method of proxies"}
	}
	if !validTarget(h.method, h.target) {
		return badRequest("malformed request target")
	}
	h.old = version == "HTTP/1.0"
	return checkVersion(version)
}

func checkVersion(version string) *refusal {
	major, minor, ok := http.ParseHTTPVersion(version)
	switch {
	case !ok:
		return badRequest("malformed request line")
	case major != 1:
		return &refusal{http.StatusHTTPVersionNotSupported, "HTTP/" + strconv.Itoa(major) + "." + strconv.Itoa(minor)}
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

func (h *head) checkHost() *refusal {
	if len(h.hosts) > 1 || len(h.hosts) == 0 && !h.old || len(h.hosts) == 1 && !httpguts.ValidHostHeader(h.hosts[0]) {
		return badRequest("not one valid Host")
	}
	return nil
}

// end says where the body ends. One length, or chunks: what has both, or chunks in
// HTTP/1.0, was made to be misunderstood.
func (h *head) end() (bodyEnd, *refusal) {
	last := len(h.codings) - 1
	switch {
	case len(h.lengths) > 1:
		return bodyEnd{}, badRequest("Content-Length twice")
	case last >= 0 && len(h.lengths) > 0:
		return bodyEnd{}, badRequest("Content-Length and Transfer-Encoding")
	case last >= 0 && h.old:
		return bodyEnd{}, badRequest("Transfer-Encoding in HTTP/1.0")
	case last >= 0 && slices.Index(h.codings, "chunked") != last:
		return bodyEnd{}, badRequest("Transfer-Encoding does not end with chunked, once")
	case last > 0:
		return bodyEnd{}, &refusal{http.StatusNotImplemented, "a Transfer-Encoding beside chunked"}
	case last == 0:
		return bodyEnd{chunks: &chunks{}}, nil
	case len(h.lengths) == 0:
		return bodyEnd{}, nil
	}
	length, err := strconv.ParseUint(h.lengths[0], 10, 63)
	if err != nil {
		return bodyEnd{}, badRequest("malformed Content-Length")
	}
	return bodyEnd{left: int64(length)}, nil
}
