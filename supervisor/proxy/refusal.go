package proxy

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// refusal is why the front door does not take a request. The connection ends with it,
// for where the next request begins is not certain.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func badRequest(why string) *refusal { return &refusal{http.StatusBadRequest, why} }

// Refusal is a request that no site has answered, as no site was to, or none could just
// now: one line of the front door's own access log.
type Refusal struct {
	Entry
	Host string // as the client named it; "": it did not, or it was not read
	Site string // "": none
	Why  string // in our own words, never the client's
}

// AppendCombined appends what Entry's does, and then site, host and reason.
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

const longestLine = 512 // of what can not be read

// refused tells of a request of which nothing was read but this.
func (c *client) refused(r *refusal, head []byte) {
	if c.loop.proxy.refused == nil {
		return
	}
	line, _, _ := strings.Cut(string(head[:min(len(head), longestLine)]), "\r\n")
	now := time.Now()
	c.loop.proxy.refused(Refusal{Entry: Entry{Client: c.addr, Line: line, Time: now, Status: r.status}, Why: r.why})
}

// refused tells of a failure, if that is the front door's.
func (e *exchange) refused(limit string) {
	if e.proxy.refused == nil || e.site != nil && !isRefusal(e.status) {
		return
	}
	r := Refusal{Entry: e.entry(time.Since(e.start)), Host: e.r.Host, Why: limit}
	if e.site != nil {
		r.Site = e.site.Name
	}
	e.proxy.refused(r)
}

// isRefusal tells of the statuses that mean a limit of a site, not its failure.
func isRefusal(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return false
}
