package fastcgi

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// parseHead fills resp from the header lines of a CGI answer (RFC 3875,
// section 6.3): lines end with LF or CRLF, Status is 200 when absent and 302
// when there is only a Location.
func parseHead(resp *http.Response, head []byte) error {
	h := make(http.Header, 8)
	status := ""
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		head = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return malformed("header line %q", cut(line))
		}
		value = strings.Trim(value, " \t")
		if !httpguts.ValidHeaderFieldValue(value) {
			return malformed("value of header %s", name)
		}
		if strings.EqualFold(name, "Status") {
			status = value
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		h[name] = append(h[name], value)
	}
	resp.Header = h
	return setStatus(resp, status)
}

func setStatus(resp *http.Response, status string) error {
	if status == "" {
		status = "200 OK"
		if resp.Header.Get("Location") != "" {
			status = "302 Found"
		}
	}
	code, _, _ := strings.Cut(status, " ")
	n, err := strconv.Atoi(code)
	if err != nil || n < 200 || n > 999 {
		return malformed("status %q", cut([]byte(status)))
	}
	resp.StatusCode, resp.Status = n, status
	// A Content-Length that is no number is dropped: the length is known from
	// the stream.
	if v, ok := resp.Header["Content-Length"]; ok {
		length, err := strconv.ParseInt(v[0], 10, 64)
		if err != nil || length < 0 || len(v) > 1 && v[0] != v[1] {
			resp.Header.Del("Content-Length")
			return nil
		}
		resp.Header["Content-Length"] = v[:1]
		resp.ContentLength = length
	}
	return nil
}

// cut keeps an error message short.
func cut(b []byte) []byte { return b[:min(len(b), 60)] }
