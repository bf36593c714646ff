package wire

import (
	"fmt"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// HopHeaders are the headers that concern a single connection (RFC 9110, section 7.6.1).
// They are not passed on.
var HopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ServerHeaders ask the front door to send a file instead of the answer. Visitors must
// not see the path in them.
var ServerHeaders = []string{"X-Accel-Redirect", "X-Sendfile"}

// Separator returns what joins the values of a repeated header (RFC 9110, section 5.3; for
// cookies RFC 6265).
func Separator(name string) string {
	if strings.EqualFold(name, "Cookie") {
		return "; "
	}
	return ", "
}

// AppendField appends a header line.
func AppendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// EachField calls f for every header line, with the name in canonical form, up to the
// first empty line or the end. Lines end with LF or CRLF.
func EachField(lines string, f func(name, value string)) error {
	for line := range strings.Lines(lines) {
		if whole, ok := strings.CutSuffix(line, "\n"); ok {
			line = strings.TrimSuffix(whole, "\r")
		}
		if line == "" {
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header line %q", line[:min(len(line), 60)])
		}
		value = strings.Trim(value, " \t")
		if !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("value of header %s", name)
		}
		f(textproto.CanonicalMIMEHeaderKey(name), value)
	}
	return nil
}
