// Package rules decides what becomes of a request by the rules that sites.toml has for its
// site, before a file is looked for or a worker is asked. Both sides of the front door call
// it with each request, once, and do the same with its Verdict.
//
// The order is that of Judge: canonical_host, maintenance, methods, rate_limit, access,
// redirects. The first rule that has an answer decides. All that a request brings is taken
// for hostile: what goes into an answer is escaped, and every table is bounded.
//
// Judge never waits, since the front door's loop calls it. Only a password that was not
// checked before takes time: the Verdict has a Check then, for another goroutine.
package rules

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Rules are those of one site. They do not change; a reload makes new ones. Limit and
// Passwords point to what outlives reloads.
type Rules struct {
	Mount       string       // the prefix of all paths of the site
	Canonical   string       // the name that all others lead to; "": each name stays
	Maintenance *Maintenance // nil: the site is open
	Methods     []string     // those that are allowed; none: all are
	Rate        Rate
	Limiter     *Limiter // counts for Rate
	Access      []Area   // none: everybody may see all
	Passwords   *Passwords
	Redirects   []Redirect
}

// Request is what rules see of a request.
type Request struct {
	Method, URI, Path string // URI as it was sent, Path decoded
	Host              string // as it was sent
	Name              string // Host as the table of sites has it
	Scheme            string
	Addr              string        // the client's
	Authorization     func() string // the header
}

// Verdict is what becomes of a request. The zero value lets it pass.
type Verdict struct {
	Answer *Answer // nil: it passes
	User   string  // whose password it had
	Check  *Check  // decides; nil: it is decided
}

// Answer is an answer by a rule. It has the site's page of its status, unless it has a Page.
type Answer struct {
	Status int
	Why    string      // the rule, for logs
	Fields [][2]string // beside those of the page
	Page   *Page
}

// Page is a page that the operator has written.
type Page struct {
	Type string // Content-Type
	Body []byte
}

// Judge applies the rules in their order.
func (r *Rules) Judge(q *Request, now time.Time) Verdict {
	if a := r.judgeFirst(q, now); a != nil {
		return Verdict{Answer: a}
	}
	v := r.judgeAccess(q, now)
	if v.Answer == nil && v.Check == nil {
		v.Answer = r.redirect(q)
	}
	return v
}

// judgeFirst applies the rules before access.
func (r *Rules) judgeFirst(q *Request, now time.Time) *Answer {
	if r.Canonical != "" && q.Name != r.Canonical && q.Name != "" {
		return moved(http.StatusPermanentRedirect, "canonical_host", r.canonical(q))
	}
	if r.Maintenance != nil && !r.Maintenance.lets(q.Addr) {
		return r.Maintenance.answer()
	}
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, q.Method) {
		return &Answer{Status: http.StatusMethodNotAllowed, Why: "methods", Fields: [][2]string{{"Allow", strings.Join(r.Methods, ", ")}}}
	}
	if r.Rate.Count > 0 {
		if wait := r.Limiter.take(q.Addr, r.Rate, now); wait > 0 {
			return &Answer{Status: http.StatusTooManyRequests, Why: "rate_limit", Fields: [][2]string{retryAfter(wait)}}
		}
	}
	return nil
}

// canonical returns the URL of the same page on the canonical host. The port is the one
// that the client has used.
func (r *Rules) canonical(q *Request) string {
	port := ""
	if i := strings.LastIndexByte(q.Host, ':'); i > strings.LastIndexByte(q.Host, ']') {
		port = q.Host[i:]
	}
	if port == ":" || port == ":80" && q.Scheme == "http" || port == ":443" && q.Scheme == "https" {
		port = ""
	}
	return q.Scheme + "://" + r.Canonical + port + escape(q.URI)
}

// below returns the path below the mount.
func (r *Rules) below(path string) string {
	if path = strings.TrimPrefix(path, r.Mount); path == "" {
		return "/"
	}
	return path
}

func moved(status int, why, location string) *Answer {
	return &Answer{Status: status, Why: why, Fields: [][2]string{{"Location", location}}, Page: &Page{}}
}

// escape percent-encodes what must not stand in a URL, or what browsers take for a slash.
// What is encoded already stays.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b []byte // nil: nothing had to be encoded yet
	for i := range len(s) {
		c := s[i]
		if bad := c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0; bad {
			if b == nil {
				b = append(make([]byte, 0, len(s)+8), s[:i]...)
			}
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else if b != nil {
			b = append(b, c)
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}
