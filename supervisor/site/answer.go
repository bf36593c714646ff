package site

import (
	"slices"
	"strconv"

	"github.com/multisite/multisite/supervisor/errorpage"
	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/worker/wire"
)

// Answer returns an answer that the front door itself gives for the site, to a HEAD without
// its body.
func (s *Site) Answer(a *rules.Answer, head bool) *wire.Answer {
	answer := &wire.Answer{Status: a.Status, Body: errorpage.Body(a.Status)}
	page, own := s.Pages[a.Status]
	if a.Page != nil {
		page, own = *a.Page, true
	}
	for _, f := range errorpage.Fields(a.Status) {
		switch {
		case slices.ContainsFunc(a.Fields, func(other [2]string) bool { return other[0] == f[0] }):
		case own && f[0] == "Content-Type" && page.Type == "":
		case own && f[0] == "Content-Type":
			answer.Fields = append(answer.Fields, [2]string{f[0], page.Type})
		default:
			answer.Fields = append(answer.Fields, f)
		}
	}
	if own {
		answer.Body = page.Body
	}
	answer.Fields = append(append(answer.Fields, a.Fields...), [2]string{"Content-Length", strconv.Itoa(len(answer.Body))})
	answer.Fields = s.Headers.Apply(answer.Fields)
	if head {
		answer.Body = nil
	}
	return answer
}
