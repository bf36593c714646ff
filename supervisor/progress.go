package supervisor

import (
	"fmt"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
)

// Progress returns how far all sites are, also those that are being removed, and what has
// to happen next.
func (s *Supervisor) Progress() (p control.Progress) {
	now := time.Now()
	for _, t := range append(s.sites.leaving(), s.sites.all()...) {
		p.Sites = append(p.Sites, t.progress(now))
	}
	return p
}

func (t *site) progress(now time.Time) control.SiteProgress {
	ps, c := t.pool.Status(), t.config()
	p := control.SiteProgress{Name: t.name, State: string(ps.State), Ready: ps.Ready, Desired: ps.Desired}
	if ps.LastError != nil {
		p.Problem, _, _ = strings.Cut(ps.LastError.Error(), "\n")
	}
	starting, ending, requests := time.Time{}, time.Time{}, 0
	for _, w := range ps.Workers {
		switch {
		case w.Worker == nil && w.State == pool.Starting.String():
			starting = earlier(starting, w.Since)
		case w.State == pool.Draining.String(), w.State == pool.Stuck.String():
			ending = earlier(ending, w.Since)
			requests += w.Active
		}
	}
	wait := func(what string, since time.Time, limit time.Duration) {
		p.For, p.Seconds, p.Limit = what, now.Sub(since).Seconds(), limit.Seconds()
	}
	stopping := t.tasks.Stopping()
	switch {
	case !starting.IsZero():
		wait(t.name, starting, c.StartupTimeout)
	case requests > 0:
		wait(fmt.Sprintf("%d of the requests of %s", requests, t.name), ending, c.GracefulTimeout)
	case !ending.IsZero():
		wait("the old workers of "+t.name, ending, c.GracefulTimeout+c.ShutdownTimeout)
	case len(stopping) > 0:
		p.For, p.Left = fmt.Sprintf("%s/%v", t.name, stopping[0].ID), max(stopping[0].By.Sub(now), 0).Seconds()
	}
	return p
}

// earlier returns the earlier one of two times, of which a may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
