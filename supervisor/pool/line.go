package pool

import (
	"slices"
	"time"
)

// A line is a request that a worker with one thread runs, and its followers: requests
// that the front door sends to that worker's socket meanwhile. The worker goes on with
// the next one at once: nobody waits for it, and it does not sleep and is not woken,
// which costs as much as a small request does. A request follows only where it would
// have to wait anyway, and only fast ones: the front door recalls it, and calls Requeue,
// if they are not.

const (
	fastRequest   = time.Millisecond     // mean time of a site's requests up to which one may follow another
	lineTime      = 2 * time.Millisecond // time that the requests before a follower may take together
	mostFollowers = 16                   // how many requests those may be
	mostLooked    = 32                   // how many workers lineLocked looks at
)

// lineLocked returns the worker that c may be sent to as a follower; nil if there is none.
func (p *Pool) lineLocked(c *Claim, now time.Time) *member {
	if c.notify == nil || c.requeued || p.mean == 0 || p.mean > fastRequest {
		return nil
	}
	most := min(mostFollowers, int(lineTime/p.mean))
	var best *member
	e := p.recent.Back()
	for range mostLooked {
		if e == nil {
			break
		}
		m := e.Value.(*member)
		if now.Sub(m.began) > lineTime { // and all before it began earlier
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

// lineOrFreeLocked returns the worker that takes c, although one is free. When every
// processor has work, and more of the site's fast workers run than there are processors,
// one more would answer nothing sooner: they would take turns of a few milliseconds
// each while requests wait in its socket, and each would write to memory of its own.
func (p *Pool) lineOrFreeLocked(c *Claim, free *member, now time.Time) *member {
	if p.crowded == nil || p.followers >= p.settings.Backlog {
		return free
	}
	m := p.lineLocked(c, now)
	if m == nil || !p.crowded(p.busy, now) {
		return free
	}
	return m
}

// beganLocked records that a worker has begun a request.
func (p *Pool) beganLocked(m *member, now time.Time) {
	m.began = now
	p.recent.MoveToBack(m.recent)
}

// requestEndedLocked records how long a worker with one thread took for the request
// that ends now. Its next one begins.
func (p *Pool) requestEndedLocked(m *member, now time.Time) {
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

// beginLocked records that a request is not a follower any more.
func (p *Pool) beginLocked(c *Claim) {
	if c.follower {
		c.follower = false
		p.followers--
	}
}

// IsFollower reports whether the claim's worker runs another request first.
func (c *Claim) IsFollower() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.follower
}

// WaitInstead is called before another goroutine calls Wait: notify is not called any
// more, and a follower is requeued (see Requeue).
func (c *Claim) WaitInstead() error {
	c.pool.mu.Lock()
	c.notify = nil
	follower := c.follower
	c.pool.mu.Unlock()
	if follower {
		return c.Requeue()
	}
	return nil
}

// Requeue gives the worker back, which has not begun the request, and enqueues the claim
// again, before all that wait. After an error the claim has ended.
func (c *Claim) Requeue() error {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	m := c.member
	p.dropLocked(c)
	if len(m.claims) > 0 && m.threads == 1 {
		p.beginLocked(m.claims[0])
	}
	m.checkRecalledLocked()
	if m.state != Ready {
		m.checkDrainedLocked()
	}
	c.member, c.assigned, c.requeued = nil, nil, true
	err := p.placeLocked(c)
	p.dispatchLocked()
	return err
}

// awaitRecall waits, but not for long, until a worker that has exited has no followers.
// The front door, which sent them, recalls them: it knows which of them the worker had
// begun, so that the pool then knows what the worker died of.
func (p *Pool) awaitRecall(m *member) {
	recalled := make(chan struct{})
	p.mu.Lock()
	m.recalled = recalled
	m.checkRecalledLocked()
	p.mu.Unlock()
	timer := time.NewTimer(mostSuspense)
	defer timer.Stop()
	select {
	case <-recalled:
	case <-timer.C:
	}
}

// checkRecalledLocked closes recalled if the worker has no followers.
func (m *member) checkRecalledLocked() {
	if m.recalled != nil && !slices.ContainsFunc(m.claims, func(c *Claim) bool { return c.follower }) {
		close(m.recalled)
		m.recalled = nil
	}
}

// runningLocked returns how many requests the worker runs, without followers.
func (m *member) runningLocked() int {
	if m.threads == 1 {
		return min(len(m.claims), 1)
	}
	return len(m.claims)
}
