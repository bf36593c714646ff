package site

import (
	"strconv"
	"strings"
	"time"
)

// AppendJSON appends the entry as one line of JSON. Only ASCII is written as it is, so no
// client can write a line, a field or a sign of its own. What is not known is left out.
func (e *Entry) AppendJSON(b []byte, site string) []byte {
	method, target, proto := e.request()
	path, query, _ := strings.Cut(target, "?")
	b = append(b, `{"time":"`...)
	b = e.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, '"')
	b = appendMember(b, "site", site)
	b = appendMember(b, "worker", e.Worker)
	b = appendMember(b, "request_id", e.ID)
	b = appendMember(b, "client", e.Client)
	b = appendMember(b, "user", e.User)
	b = appendMember(b, "host", e.Host)
	b = appendMember(b, "method", method)
	b = appendMember(b, "path", path)
	b = appendMember(b, "query", query)
	b = appendMember(b, "http", strings.TrimPrefix(proto, "HTTP/"))
	b = appendMember(b, "tls", strings.TrimPrefix(e.TLS, "TLS "))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = appendMilliseconds(b, "took_ms", e.Took)
	if e.Worker != "" {
		b = appendMilliseconds(b, "queue_ms", e.Queue)
		b = appendMilliseconds(b, "app_ms", e.App)
	}
	b = appendMember(b, "referer", e.Referer)
	b = appendMember(b, "user_agent", e.Agent)
	return append(b, "}\n"...)
}

// request returns the parts of the request line.
func (e *Entry) request() (method, target, proto string) {
	method, rest, _ := strings.Cut(e.Line, " ")
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		return method, rest[:i], rest[i+1:]
	}
	return method, rest, ""
}

func appendMilliseconds(b []byte, name string, d time.Duration) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendFloat(b, max(d, 0).Seconds()*1000, 'f', 3, 64)
}

// appendMember appends a member of an object that is no number, unless the value is "".
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":"`...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = appendEscaped(b, value[i:])
			return append(b, '"')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

// appendEscaped appends a string as JSON has it in ASCII. A byte that is not UTF-8 is
// U+FFFD.
func appendEscaped(b []byte, s string) []byte {
	unit := func(r rune) { // of UTF-16
		const hex = "0123456789abcdef"
		b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case ' ' <= r && r <= '~':
			b = append(b, byte(r))
		case r > 0xffff:
			r -= 0x10000
			unit(0xd800 + r>>10)
			unit(0xdc00 + r&0x3ff)
		default:
			unit(r)
		}
	}
	return b
}
