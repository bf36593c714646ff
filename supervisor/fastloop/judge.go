package fastloop

import (
	"bytes"
	"net/http"
	"slices"
	"time"

	"github.com/multisite/multisite/supervisor/rules"
)

// judge applies the site's rules to a request that has just begun, and reports whether it
// goes on. rest is what was read after the head. What takes long, as a password does, and
// what has a body, which has to be read, is net/http's.
func (c *client) judge(rest []byte) (goOn bool) {
	r := &c.request
	v := c.site.Rules.Judge(&rules.Request{
		Method: r.Method, URI: r.URI, Path: r.Path, Host: r.Host, Name: r.host, Scheme: r.Scheme, Addr: r.RemoteAddr,
		Authorization: func() string { return r.field("Authorization") },
	}, c.start)
	switch {
	case v.Check != nil || v.Answer != nil && r.Length > 0:
		c.buffered = bytes.Clone(rest)
		c.detachPending(&Pending{Verdict: &v})
		return false
	case v.Answer != nil:
		c.buffered = bytes.Clone(rest)
		c.answerAtOnce(v.Answer)
		return false
	case v.User != "":
		r.User = v.User
		r.Fields = slices.DeleteFunc(r.Fields, func(f [2]string) bool { return isName(f[0], "Authorization") }) // the password is for us
	}
	return true
}

// answerAtOnce gives the client an answer of the front door's own.
func (c *client) answerAtOnce(a *rules.Answer) {
	l, now := c.loop, time.Now()
	answer := c.site.Answer(a, c.request.Method == http.MethodHead)
	c.promiseTLS(answer)
	last := c.isLast()
	l.out = appendAnswer(l.out[:0], answer, c.request.id, c.request.Method == http.MethodHead, last, l.date.at(now))
	c.reply = reply{begun: true, ended: true, last: last, entry: c.entry(answer, ""), head: len(l.out) - len(answer.Body), body: int64(len(answer.Body)), moved: now}
	if a.Status == http.StatusTooManyRequests && l.o.Refused != nil {
		l.o.Refused(c.site.Refusal(c.reply.entry, c.request.Host, a.Why))
	}
	rest, gone := c.put(append(l.pieces[:0], l.out), now)
	switch {
	case gone:
		c.leave(now)
	case len(rest) > 0:
		c.handOver(rest)
	case !c.waits():
		c.replied(now)
	}
}
