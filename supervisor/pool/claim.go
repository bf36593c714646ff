package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Why a claim is refused.
var (
	ErrBacklog      = errors.New("the queue is full (listen_backlog)")
	ErrQueueTimeout = errors.New("no worker became free in time (queue_timeout)")
	ErrStopped      = errors.New("the site is stopped")
)

// ErrScaledAgain is why a number of workers was not reached: another one is wanted by now.
var ErrScaledAgain = errors.New("it was scaled to another number meanwhile")

// ErrStartupTimeout is why a launch failed that took too long.
var ErrStartupTimeout = errors.New("not ready in time (startup_timeout)")

// FailedError says that a site has no worker because none can be started.
type FailedError struct{ Cause error }

func (e *FailedError) Error() string { return "the site does not start: " + e.Cause.Error() }

// Unwrap returns why the last launch failed.
func (e *FailedError) Unwrap() error { return e.Cause }

// leastTold is how long a worker has at least to give up a request.
const leastTold = 100 * time.Millisecond

// Claim is one request's hold on one worker.
type Claim struct {
	pool     *Pool
	what     string        // "GET /path", for logs
	again    bool          // it had its turn: it goes before all who wait
	since    time.Time     // when it began to wait
	assigned chan struct{} // closed when a waiting claim got a worker or an error; nil: never waited
	waiting  *list.Element // its place in the queue
	shuns    []*member     // on which it broke before

	// the pool's mutex protects all below
	told      func() // see Ask; nil: somebody waits
	member    *member
	behind    bool // the worker has another request before it
	err       error
	abandoned bool // its request overran its time
	refused   bool // nothing of its request reached the worker
	risked    bool // its request reached a worker, this one or one before, and broke there
	ends      int  // how many workers ended while they ran its request
}

// Claim takes a worker for one request, waiting in the queue while all are busy.
// what names the request in logs. The caller must call Release exactly once.
func (p *Pool) Claim(ctx context.Context, what string) (*Claim, error) {
	c, err := p.Ask(what, nil)
	if err != nil {
		return nil, err
	}
	return c.Wait(ctx)
}

// Ask is Claim for a caller that does not wait. Where the claim is not Resolved at
// once, told is called when it is, from any goroutine and with the pool locked: it
// may only take note.
func (p *Pool) Ask(what string, told func()) (*Claim, error) {
	c := &Claim{pool: p, what: what, told: told}
	if err := p.place(c); err != nil {
		return nil, err
	}
	return c, nil
}

// place gives the claim a worker or a place in the queue.
func (p *Pool) place(c *Claim) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.placeLocked(c)
}

func (p *Pool) placeLocked(c *Claim) error {
	if m := p.freeLocked(c); m != nil && (c.again || p.queue.passable()) {
		now := time.Now()
		p.giveLocked(c, p.packedLocked(c, m, now), now)
		return nil
	}
	err := p.enqueueLocked(c)
	if err != nil {
		p.totals.refused++
	}
	return err
}

// Resolved tells whether the claim has left the queue, or was never in it: Wait
// does not wait.
func (c *Claim) Resolved() bool {
	select {
	case <-c.assigned:
		return true
	default:
		return c.assigned == nil
	}
}

// enqueueLocked puts a claim into the queue or ahead, or says why it may not wait.
func (p *Pool) enqueueLocked(c *Claim) error {
	switch {
	case p.stopped, p.set.Max == 0: // scaled to 0: nothing will wake it
		return ErrStopped
	case p.hopelessLocked():
		return &FailedError{Cause: p.trouble.broken}
	case p.queue.len()+p.behind >= p.set.Backlog && !c.again:
		return ErrBacklog
	}
	now := time.Now()
	if m := p.aheadLocked(c, now); m != nil && p.queue.passable() {
		p.giveLocked(c, m, now)
		return nil
	}
	c.assigned, c.since = make(chan struct{}), now
	p.queue.push(c)
	p.growLocked()
	return nil
}

// Wait returns when the claim holds a worker, or none will come: at the latest
// queue_timeout after it began to wait.
func (c *Claim) Wait(ctx context.Context) (*Claim, error) {
	if c.Resolved() {
		return c.result()
	}
	c.pool.mu.Lock()
	timeout := c.pool.set.QueueTimeout
	c.pool.mu.Unlock()
	timer := time.NewTimer(timeout - time.Since(c.since))
	defer timer.Stop()
	var cause error
	select {
	case <-c.assigned:
		return c.result()
	case <-timer.C:
		cause = ErrQueueTimeout
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	if c.pool.withdraw(c) {
		return nil, fmt.Errorf("wait for a worker: %w", cause)
	}
	return c.result() // a worker came in the same moment: use it
}

func (c *Claim) result() (*Claim, error) {
	if c.assigned != nil {
		<-c.assigned
	}
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

// withdraw takes a claim out of the queue. False: it has left it already.
func (p *Pool) withdraw(c *Claim) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.waiting == nil {
		return false
	}
	p.queue.remove(c)
	p.requestGoneLocked(nil)
	p.totals.refused++
	return true
}

// Worker returns the worker that the claim holds.
func (c *Claim) Worker() Worker { return c.member.worker }

// ID returns the worker's name: "subdomain1/1".
func (c *Claim) ID() string { return c.member.id }

// Release gives the worker back: to the request that waits longest, if one does.
func (c *Claim) Release() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.releaseLocked(c.abandoned)
}

func (c *Claim) releaseLocked(broke bool) {
	m := c.member
	m.used = time.Now()
	c.pool.dropLocked(c)
	switch {
	case c.refused:
	case broke:
		m.brokeLocked(c)
	default:
		m.answered = true
	}
	if !c.refused {
		m.requests++
		c.pool.totals.served++
	}
	c.pool.endedLocked(m, m.used)
	m.unlineLocked()
	if m.state == Ready {
		if m.requests == m.mostRequests(&c.pool.set) {
			c.pool.lookLocked()
		}
		c.pool.dispatchLocked()
		return
	}
	m.emptyLocked()
}

// MarkStuck says that the claim's request overran its time. Its worker gets no
// further request and is replaced now; it ends when its other requests have.
// Release must still be called.
func (c *Claim) MarkStuck(reason Reason) {
	p, m := c.pool, c.member
	p.mu.Lock()
	c.abandoned = true
	first := p.stuckLocked(m, reason)
	p.mu.Unlock()
	if first {
		m.worker.DumpStack()
	}
}

// MarkStuckIf is MarkStuck for a worker that has been told to give up the request: it is
// abandoned if stuck says, after ShutdownTimeout, that it has not.
func (c *Claim) MarkStuckIf(reason Reason, stuck func() bool) {
	p, m := c.pool, c.member
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.hasEnded() { // its keeper may not be there to be waited for
		return
	}
	wait := max(p.set.ShutdownTimeout, leastTold)
	p.keepers.Go(func() {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-m.leave: // it ends in any case
		case <-m.worker.Done():
		case <-timer.C:
			if stuck() {
				c.stuck(reason)
			}
		}
	})
}

// stuck is MarkStuck for a claim that has been released.
func (c *Claim) stuck(reason Reason) {
	p, m := c.pool, c.member
	p.mu.Lock()
	first := !m.hasEnded() && p.stuckLocked(m, reason)
	m.brokeLocked(c)
	p.mu.Unlock()
	if first {
		m.worker.DumpStack()
	}
}

// stuckLocked gives a worker up. False: it was.
func (p *Pool) stuckLocked(m *member, reason Reason) (first bool) {
	first = m.state != Stuck
	m.leaveLocked(Stuck, reason)
	m.state = Stuck // even if it was to end for another reason
	m.emptyLocked()
	p.changedLocked()
	return first
}

// freeLocked returns the worker for a request: see rank.
func (p *Pool) freeLocked(c *Claim) *member {
	if len(c.shuns) == 0 {
		return p.rank.best()
	}
	var best *member
	for _, m := range p.members {
		if !m.open() || m.full(&p.set) || c.shunsLocked(m) {
			continue
		}
		if best == nil || len(m.claims) < len(best.claims) {
			best = m
		}
	}
	return best
}

// dispatchLocked gives waiting requests to free workers. Only one that shuns the worker
// that is free is passed by those behind it.
func (p *Pool) dispatchLocked() {
	if p.queue.len() == 0 {
		return
	}
	now := time.Now()
	for c := p.queue.first(); c != nil; {
		next := p.queue.after(c)
		m := p.freeLocked(c)
		if m == nil {
			m = p.aheadLocked(c, now)
		} else {
			m = p.packedLocked(c, m, now)
		}
		switch {
		case m != nil:
			p.queue.remove(c)
			p.giveLocked(c, m, now)
			c.settleLocked()
		case len(c.shuns) == 0:
			return
		}
		c = next
	}
}

func (c *Claim) settleLocked() {
	close(c.assigned)
	if c.told != nil {
		c.told()
	}
}

// refuseWaitingLocked ends the wait of all with err.
func (p *Pool) refuseWaitingLocked(err error) {
	for c := p.queue.first(); c != nil; c = p.queue.first() {
		p.queue.remove(c)
		c.err = err
		p.totals.refused++
		c.settleLocked()
	}
	p.requestGoneLocked(nil)
}

// giveLocked gives a request to a worker, perhaps behind others.
func (p *Pool) giveLocked(c *Claim, m *member, now time.Time) {
	c.member = m
	switch {
	case len(m.claims) == 0:
		p.busy++
		p.beganLocked(m, now)
	case m.threads == 1:
		c.behind = true
		p.behind++
	}
	m.claims = append(m.claims, c)
	p.rank.changed(m)
}

// dropLocked takes a request from its worker.
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
