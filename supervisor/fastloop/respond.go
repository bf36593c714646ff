package fastloop

import (
	"net/http"
	"strconv"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// appendAnswer appends an answer in HTTP/1.1. head: the request was HEAD. last: the
// connection ends with the answer.
func appendAnswer(b []byte, a *wire.Answer, head, last bool, dateLine []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, ' ')
	if a.Reason != "" {
		b = append(b, a.Reason...)
	} else {
		b = append(b, statusText(a.Status)...)
	}
	b = append(b, "\r\n"...)
	bodiless := wire.Bodiless(a.Status)
	var length, date bool
	for _, f := range a.Fields {
		switch f[0] {
		case "Content-Length":
			if bodiless {
				continue
			}
			length = true
		case "Content-Type":
			if a.Status == http.StatusNotModified {
				continue // as net/http does
			}
		case "Date":
			date = true
		}
		b = wire.AppendField(b, f[0], f[1])
	}
	if !length && !bodiless && !head {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(a.Body)), 10)
		b = append(b, "\r\n"...)
	}
	if !date {
		b = append(b, dateLine...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(append(b, "\r\n"...), a.Body...)
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
