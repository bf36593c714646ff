package pool

import "time"

const (
	fast      = time.Millisecond     // what a site's requests take on average, if one may wait behind another
	aheadTime = 2 * time.Millisecond // what those that a worker has before it may take, together
	aheadMost = 16                   // how many those may be
	lookedAt  = 32                   // workers that are looked at, those that began last
)

// aheadLocked returns a worker that has a request already, and behind it takes one
// more into its socket. So a busy worker goes on with the next request at once: it
// is not waited for, does not sleep and is not woken, which costs as much as a small
// request does. A request waits there only where it would have to wait anyway, and
// only behind fast ones: who has asked takes it back (Requeue) when they are not.
func (p *Pool) aheadLocked(c *Claim, now time.Time) *member {
	if c.told == nil || c.again || p.mean == 0 || p.mean > fast {
		return nil
	}
	most := min(aheadMost, int(aheadTime/p.mean))
	var best *member
	e := p.begun.Back()
	for range lookedAt {
		if e == nil {
			break
		}
		m := e.Value.(*member)
		if now.Sub(m.began) > aheadTime { // as are all before it
			break
		}
		e = e.Prev()
		if m.threads != 1 || len(m.claims) == 0 || len(m.claims) > most || !m.open() {
			continue
		}
		if best == nil || len(m.claims) <= len(best.claims) {
			best = m
		}
	}
	return best
}

// packedLocked returns the worker that takes c, where free could. When every processor
// has work, and more of the site's fast workers are at it than there are processors, one
// more would answer nothing sooner: they would take turns, each a few milliseconds long,
// while requests wait behind it, and each would write to memory of its own.
func (p *Pool) packedLocked(c *Claim, free *member, now time.Time) *member {
	if p.crowded == nil || p.behind >= p.set.Backlog {
		return free
	}
	m := p.aheadLocked(c, now)
	if m == nil || !p.crowded(p.busy, now) {
		return free
	}
	return m
}

// beganLocked notes when a worker began a request.
func (p *Pool) beganLocked(m *member, now time.Time) {
	m.began = now
	p.begun.MoveToBack(m.turn)
}

// endedLocked notes how long a worker with one thread was at a request that has ended
// now. The next one begins.
func (p *Pool) endedLocked(m *member, now time.Time) {
	if m.threads != 1 {
		return
	}
	took := now.Sub(m.began)
	if p.mean == 0 {
		p.mean = took
	}
	p.mean += (took - p.mean) / 16
	p.beganLocked(m, now)
	if len(m.claims) > 0 {
		p.beginLocked(m.claims[0])
	}
}

// beginLocked notes that a request is behind no other one any more.
func (p *Pool) beginLocked(c *Claim) {
	if c.behind {
		c.behind = false
		p.behind--
	}
}

// IsFollower tells whether the claim waits for its turn at a worker that has another
// request.
func (c *Claim) IsFollower() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.behind
}

// WaitInstead is for who will Wait after all: nobody is told any more, and a place behind
// another request is given back (see Requeue).
func (c *Claim) WaitInstead() error {
	c.pool.mu.Lock()
	c.told = nil
	behind := c.behind
	c.pool.mu.Unlock()
	if behind {
		return c.Requeue()
	}
	return nil
}

// Requeue gives the worker back, which was not asked or has not begun, and asks once
// more, before all who wait: see Ask. After an error the claim has ended.
func (c *Claim) Requeue() error {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	m := c.member
	p.dropLocked(c)
	if len(m.claims) > 0 && m.threads == 1 {
		p.beginLocked(m.claims[0])
	}
	m.unlineLocked()
	if m.state != Ready {
		m.emptyLocked()
	}
	c.member, c.assigned, c.again = nil, nil, true
	err := p.placeLocked(c)
	p.dispatchLocked()
	return err
}

// runningLocked is how many requests the worker is at: not those behind others.
func (m *member) runningLocked() int {
	if m.threads == 1 {
		return min(len(m.claims), 1)
	}
	return len(m.claims)
}
