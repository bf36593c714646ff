package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"
)

// Why a claim is refused.
var (
	ErrBacklog      = errors.New("the queue is full (listen_backlog)")
	ErrQueueTimeout = errors.New("no worker became free in time (queue_timeout)")
	ErrStopped      = errors.New("the site is stopped")
)

// FailedError says that a site has no worker because none can be started.
type FailedError struct{ Cause error }

func (e *FailedError) Error() string { return "the site does not start: " + e.Cause.Error() }

// Unwrap returns why the last launch failed.
func (e *FailedError) Unwrap() error { return e.Cause }

// Claim is one request's hold on one worker, or its place in the queue. The package
// documentation lists its states.
type Claim struct {
	pool     *Pool
	what     string    // "GET /path", for logs and to recognise a deadly request
	avoids   []*member // workers on which the request failed before
	requeued bool      // it has had its turn before: it precedes all that wait; Pool.mu protects it

	// Set by enqueueLocked, read by the goroutine that waits.
	since    time.Time     // when it began to wait
	assigned chan struct{} // is closed when it is resolved; nil: it has never waited

	// Pool.mu protects all below, but member and err do not change once it is resolved.
	notify   func()        // is called when it is resolved, see Ask; nil: the caller waits
	waiting  *list.Element // its place in the queue; nil: it does not wait
	member   *member       // whose worker it holds; nil while it waits
	follower bool          // the worker runs another request first
	err      error         // why it was refused
	began    time.Time     // when it got the worker, also if it is a follower of it
	stuck    bool          // its request overran its time
	unsent   bool          // nothing of its request reached the worker, which failed

	// Retry copies these to the next claim.
	failedSent bool // the request reached a worker, this one or one before, and failed there
	deaths     int  // how many workers died while they ran the request
}

// Claim takes a worker for one request and waits in the queue while all are busy.
// The argument what names the request in logs. The caller must call Release or Fail
// exactly once.
func (p *Pool) Claim(ctx context.Context, what string) (*Claim, error) {
	c, err := p.Ask(what, nil)
	if err != nil {
		return nil, err
	}
	return c.Wait(ctx)
}

// Ask is Claim for a caller that cannot wait. If the claim is not Resolved when Ask
// returns, notify is called when it is, on any goroutine and with the pool locked: it
// must neither block nor call the pool.
func (p *Pool) Ask(what string, notify func()) (*Claim, error) {
	c := &Claim{pool: p, what: what, notify: notify}
	if err := p.place(c); err != nil {
		return nil, err
	}
	return c, nil
}

// place gives the claim a worker or a place in the queue, or says why it gets neither.
func (p *Pool) place(c *Claim) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.placeLocked(c)
}

func (p *Pool) placeLocked(c *Claim) error {
	if m := p.freeLocked(c); m != nil && !p.held && (c.requeued || p.queue.passable()) {
		now := time.Now()
		p.giveLocked(c, p.lineOrFreeLocked(c, m, now), now)
		return nil
	}
	err := p.enqueueLocked(c)
	if err != nil {
		p.totals.refused++
	}
	return err
}

// enqueueLocked makes the claim a follower or puts it into the queue, or says why it may
// not wait.
func (p *Pool) enqueueLocked(c *Claim) error {
	switch {
	case p.stopped, p.refusing, p.settings.Max == 0: // scaled to 0: no worker will come
		return ErrStopped
	case p.failedLocked():
		return &FailedError{Cause: p.backoff.lastError}
	case p.queue.len()+p.followers >= p.settings.Backlog && !c.requeued:
		return ErrBacklog
	}
	now := time.Now()
	if m := p.lineLocked(c, now); m != nil && !p.held && p.queue.passable() {
		p.giveLocked(c, m, now)
		return nil
	}
	c.assigned, c.since = make(chan struct{}), now
	p.queue.push(c)
	p.growLocked()
	return nil
}

// Resolved reports whether it is decided that the claim has a worker, or none, so that
// Wait returns at once.
func (c *Claim) Resolved() bool {
	select {
	case <-c.assigned:
		return true
	default:
		return c.assigned == nil
	}
}

// Wait returns when the claim holds a worker or is refused, at the latest queue_timeout
// after it began to wait.
func (c *Claim) Wait(ctx context.Context) (*Claim, error) {
	if c.Resolved() {
		return c.result()
	}
	c.pool.mu.Lock()
	timeout := c.pool.settings.QueueTimeout
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
	return c.result() // it was resolved at the same moment
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

// withdraw takes a claim out of the queue. It returns false if the claim is not there
// any more.
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

// Release gives the worker back, to the request that waits longest if one does.
func (c *Claim) Release() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.releaseLocked(c.stuck)
}

func (c *Claim) releaseLocked(failed bool) {
	m := c.member
	m.used = time.Now()
	c.pool.dropLocked(c)
	switch {
	case c.unsent:
	case failed:
		m.noteFailedLocked(c)
	default:
		m.answered = true
	}
	if !c.unsent {
		m.requests++
		c.pool.totals.served++
	}
	c.pool.requestEndedLocked(m, m.used)
	m.checkRecalledLocked()
	if m.state == Ready {
		if m.requests == m.mostRequests(&c.pool.settings) {
			c.pool.wakeLocked()
		}
		c.pool.dispatchLocked()
		return
	}
	m.checkDrainedLocked()
}
