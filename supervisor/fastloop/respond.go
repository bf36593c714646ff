package fastloop

import (
	"net/http"
	"strconv"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

// appendAnswer appends a whole answer of our own in HTTP/1.1. head: the request was HEAD.
// last: the connection ends with the answer. id: of the request.
func appendAnswer(b []byte, a *wire.Answer, id string, head, last bool, dateLine []byte) []byte {
	f := framing{length: -1, id: id}
	if length, _ := a.Length(); length < 0 && !head && !wire.Bodiless(a.Status) {
		f.length = int64(len(a.Body))
	}
	return append(appendHead(b, a, f, last, dateLine), a.Body...)
}

// framing is what the head of an answer says of its body and its request beside the fields.
type framing struct {
	length  int64 // -1: nothing, or the fields do
	chunked bool
	id      string // of the request
}

// appendHead appends the head of an answer in HTTP/1.1. last: the connection ends with the
// answer.
func appendHead(b []byte, a *wire.Answer, f framing, last bool, dateLine []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, ' ')
	if a.Reason != "" {
		b = append(b, a.Reason...)
	} else {
		b = append(b, statusText(a.Status)...)
	}
	b = append(b, "\r\n"...)
	date := false
	for _, field := range a.Fields {
		switch field[0] {
		case "Content-Length":
			if wire.Bodiless(a.Status) {
				continue
			}
		case "Content-Type":
			if a.Status == http.StatusNotModified {
				continue // as net/http does
			}
		case "Date":
			date = true
		case httphead.RequestID:
			continue // what the access log has counts
		}
		b = wire.AppendField(b, field[0], field[1])
	}
	if f.length >= 0 {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, f.length, 10)
		b = append(b, "\r\n"...)
	}
	b = wire.AppendField(b, httphead.RequestID, f.id)
	if !date {
		b = append(b, dateLine...)
	}
	if f.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status code " + strconv.Itoa(status) // as net/http does
}

// dateLine is the Date header, formatted once a second.
type dateLine struct {
	second int64 // Unix time of line
	line   []byte
}

func (d *dateLine) at(now time.Time) []byte {
	if second := now.Unix(); second != d.second || d.line == nil {
		d.second = second
		d.line = append(now.UTC().AppendFormat(append(d.line[:0], "Date: "...), http.TimeFormat), "\r\n"...)
	}
	return d.line
}
