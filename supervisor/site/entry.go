package site

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// StatusClientGone is what the access log says when the client left before the answer.
const StatusClientGone = 499

// Entry is one line of an access log.
type Entry struct {
	Client  string    // address, without a port
	Line    string    // "GET / HTTP/1.1"
	Referer string    // as the client says
	Agent   string    // as the client calls itself
	Time    time.Time // when the head of the request was read
	Took    time.Duration
	Status  int
	Bytes   int64  // of body, sent to the client
	Worker  string // the worker that answered; "": the front door itself
}

// AppendCombined appends the entry in the combined log format of Apache and
// nginx, followed by the seconds it took and the worker.
func (e *Entry) AppendCombined(b []byte) []byte {
	b = append(b, e.Client...)
	b = append(b, " - - ["...)
	b = e.Time.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, "] "...)
	b = appendQuoted(b, e.Line)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, ' ')
	b = appendQuoted(b, e.Referer)
	b = append(b, ' ')
	b = appendQuoted(b, e.Agent)
	b = append(b, ' ')
	b = strconv.AppendFloat(b, e.Took.Seconds(), 'f', 4, 64)
	b = append(b, ' ')
	if e.Worker == "" {
		return append(b, "-\n"...)
	}
	b = append(b, e.Worker...)
	return append(b, '\n')
}

// Refusal is a request that no site has answered, because it was for none, was
// malformed, or was over a limit. It is one line of the front door's own access log.
type Refusal struct {
	Entry
	Host string // as the client named it; "": it did not, or the Host header was not read
	Site string // "": none
	Why  string // in the front door's words, never the client's
}

// AppendCombined appends what Entry.AppendCombined does, then site, host and reason.
func (r *Refusal) AppendCombined(b []byte) []byte {
	b = r.Entry.AppendCombined(b)
	b = append(b[:len(b)-1], " site="...)
	b = append(b, cmp.Or(r.Site, "-")...)
	b = append(b, " host="...)
	b = appendQuoted(b, r.Host)
	b = append(b, " why="...)
	b = appendQuoted(b, r.Why)
	return append(b, '\n')
}

func appendQuoted(b []byte, s string) []byte {
	if s == "" {
		s = "-"
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuoteToASCII(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// WithoutQuery shortens a request, "GET /a?b=c", to the form that the pool, logs and
// status show. A query may hold secrets, so it is in the access log alone.
func WithoutQuery(request string) string {
	if named, _, query := strings.Cut(request, "?"); query {
		return named + "?…"
	}
	return request
}
