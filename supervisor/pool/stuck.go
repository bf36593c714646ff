package pool

import "time"

// leastPatience is the least time that a worker has to give up a request.
const leastPatience = 100 * time.Millisecond

// MarkStuck says that the claim's request overran its time. Its worker is Stuck: it gets
// no further request, is replaced now, and exits when its other requests have ended.
// Release must still be called.
func (c *Claim) MarkStuck(reason Reason) {
	p, m := c.pool, c.member
	p.mu.Lock()
	c.stuck = true
	first := p.stuckLocked(m, reason)
	p.mu.Unlock()
	if first {
		m.worker.DumpStack()
	}
}

// MarkStuckIf is MarkStuck for a worker that was asked to give up the request: the
// worker has ShutdownTimeout to do that, and then is Stuck only if stillRuns reports
// that the request still runs. The claim may be released meanwhile.
func (c *Claim) MarkStuckIf(reason Reason, stillRuns func() bool) {
	p, m := c.pool, c.member
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.hasExited() { // the pool may have ended too, and then waits for no new goroutine
		return
	}
	wait := max(p.settings.ShutdownTimeout, leastPatience)
	p.goroutines.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-m.retired: // it is to exit in any case
		case <-m.worker.Done():
		case <-timer.C:
			if stillRuns() {
				c.markStuckLate(reason)
			}
		}
	})
}

// markStuckLate is MarkStuck for a claim that has been released.
func (c *Claim) markStuckLate(reason Reason) {
	p, m := c.pool, c.member
	p.mu.Lock()
	first := !m.hasExited() && p.stuckLocked(m, reason)
	m.noteFailedLocked(c)
	p.mu.Unlock()
	if first {
		m.worker.DumpStack()
	}
}

// stuckLocked makes a worker Stuck. It returns false if it was that already.
func (p *Pool) stuckLocked(m *member, reason Reason) (first bool) {
	first = m.state != Stuck
	m.retireLocked(Stuck, reason)
	if first {
		m.state, m.told = Stuck, time.Now() // even if it is to exit for another reason
	}
	m.checkDrainedLocked()
	p.changedLocked()
	return first
}
