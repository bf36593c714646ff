package pool

import (
	"slices"
	"time"
)

// dispatchLocked gives waiting requests to workers until none is free. Only a request
// that avoids the free worker may be overtaken by those behind it.
func (p *Pool) dispatchLocked() {
	if p.queue.len() == 0 || p.held {
		return
	}
	now := time.Now()
	for c := p.queue.first(); c != nil; {
		next := p.queue.after(c)
		m := p.freeLocked(c)
		if m == nil {
			m = p.lineLocked(c, now)
		} else {
			m = p.lineOrFreeLocked(c, m, now)
		}
		switch {
		case m != nil:
			p.queue.remove(c)
			p.giveLocked(c, m, now)
			c.resolveLocked()
		case len(c.avoids) == 0:
			return
		}
		c = next
	}
}

// freeLocked returns the worker with a free thread that suits the request best, as rank
// orders them; nil if there is none.
func (p *Pool) freeLocked(c *Claim) *member {
	if len(c.avoids) == 0 {
		return p.rank.best()
	}
	var best *member
	for _, m := range p.members {
		if !m.open() || m.full(&p.settings) || c.avoidsLocked(m) {
			continue
		}
		if best == nil || len(m.claims) < len(best.claims) {
			best = m
		}
	}
	return best
}

// refuseWaitingLocked refuses all claims that wait, with err.
func (p *Pool) refuseWaitingLocked(err error) {
	for c := p.queue.first(); c != nil; c = p.queue.first() {
		p.queue.remove(c)
		c.err = err
		p.totals.refused++
		c.resolveLocked()
	}
	p.requestGoneLocked(nil)
}

func (c *Claim) resolveLocked() {
	close(c.assigned)
	if c.notify != nil {
		c.notify()
	}
}

// giveLocked gives the request to a worker; to a busy one with one thread as a follower.
func (p *Pool) giveLocked(c *Claim, m *member, now time.Time) {
	c.member, c.began = m, now
	switch {
	case len(m.claims) == 0:
		p.busy++
		p.beganLocked(m, now)
	case m.threads == 1:
		c.follower = true
		p.followers++
	}
	m.claims = append(m.claims, c)
	p.rank.changed(m)
}

// dropLocked takes the request from its worker.
func (p *Pool) dropLocked(c *Claim) {
	p.beginLocked(c)
	i := slices.Index(c.member.claims, c)
	c.member.claims = slices.Delete(c.member.claims, i, i+1)
	if len(c.member.claims) == 0 {
		p.busy--
	}
	p.rank.changed(c.member)
	p.requestGoneLocked(c)
}
