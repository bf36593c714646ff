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
	Host    string    // as the table of sites has it; "": the client named none
	User    string    // whose password the request had; "": nobody's
	ID      string    // X-Request-ID; valid, as httphead.ValidID says
	TLS     string    // "TLS 1.3"; "": none
	Time    time.Time // when the head of the request was read
	Took    time.Duration
	Queue   time.Duration // until a worker got the request; 0: none did
	App     time.Duration // from then on, until the worker had given all of its answer
	Status  int
	Bytes   int64  // of body, sent to the client
	Worker  string // the worker that answered; "": the front door itself
}

// AppendCombined appends the entry in the combined log format of Apache and
// nginx, followed by the seconds it took, the worker, host and request ID.
func (e *Entry) AppendCombined(b []byte) []byte {
	b = append(e.appendCommon(b), ' ')
	b = append(b, cmp.Or(e.Host, "-")...)
	b = append(b, ' ')
	b = append(b, cmp.Or(e.ID, "-")...)
	return append(b, '\n')
}

// appendCommon appends what lines of sites and of the front door begin with.
func (e *Entry) appendCommon(b []byte) []byte {
	b = append(b, e.Client...)
	b = append(b, " - "...)
	b = append(b, cmp.Or(e.User, "-")...)
	b = append(b, " ["...)
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
	return append(b, cmp.Or(e.Worker, "-")...)
}

// Refusal is a request that no site has answered, because it was for none, was
// malformed, or was over a limit. It is one line of the front door's own access log.
type Refusal struct {
	Entry
	Host string // as the client named it; "": it did not, or the Host header was not read
	Site string // "": none
	Why  string // in the front door's words, never the client's
}

// Refusal returns the refusal of a request of the site.
func (s *Site) Refusal(e Entry, host, why string) Refusal {
	return Refusal{Entry: e, Host: host, Site: s.Name, Why: why}
}

// AppendCombined appends what Entry.AppendCombined does up to the worker, then site, host,
// reason and request ID.
func (r *Refusal) AppendCombined(b []byte) []byte {
	b = append(r.Entry.appendCommon(b), " site="...)
	b = append(b, cmp.Or(r.Site, "-")...)
	b = append(b, " host="...)
	b = appendQuoted(b, r.Host)
	b = append(b, " why="...)
	b = appendQuoted(b, r.Why)
	b = append(b, " id="...)
	b = append(b, cmp.Or(r.ID, "-")...)
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
