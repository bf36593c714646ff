package proxy

import (
	"strconv"
	"time"
)

// Entry is one line of an access log.
type Entry struct {
	Client  string    // address, without a port
	Line    string    // "GET / HTTP/1.1"
	Referer string    // as the client says
	Agent   string    // as the client calls itself
	Time    time.Time // when the request's header was read
	Took    time.Duration
	Status  int
	Bytes   int64  // of body, sent to the client
	Worker  string // who answered; "": the front door itself
}

// answered counts and logs a request.
func (s *Site) answered(e Entry) {
	s.Stats.record(e.Took, e.Status)
	if s.Access != nil {
		s.Access(e)
	}
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
