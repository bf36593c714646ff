package proxy

import (
	"net/http"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
)

const longestLine = 512 // of what can not be read

// refused tells of a request of which nothing was read but this.
func (c *client) refused(r *httphead.Error, head []byte) {
	if c.loop.proxy.refused == nil {
		return
	}
	line, _, _ := strings.Cut(string(head[:min(len(head), longestLine)]), "\r\n")
	now := time.Now()
	c.loop.proxy.refused(site.Refusal{Entry: site.Entry{Client: c.addr, Line: line, Time: now, Status: r.Status}, Why: r.Why})
}

// refused tells of a failure, if that is the front door's.
func (e *exchange) refused(limit string) {
	if e.proxy.refused == nil || e.site != nil && !isRefusal(e.status) {
		return
	}
	r := site.Refusal{Entry: e.entry(time.Since(e.start)), Host: e.r.Host, Why: limit}
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
