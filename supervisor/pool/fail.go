package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrDeadly is why a request is not sent once more: workers died while they ran it.
var ErrDeadly = errors.New("workers died while they ran this request")

const (
	mostSuspense = time.Second            // how long a failed request waits to learn what has become of its worker
	deathLate    = time.Second            // a worker that exits later than this after a failed request did not die of it
	maxFailed    = 8                      // failed requests that are remembered of one worker
	probePeriod  = 100 * time.Millisecond // from one probe that failed to the next
)

// Fail is Release for a request that the worker did not answer as it should. sent says
// whether some of the request reached the worker. The worker is suspect: it gets no
// request until it has exited or answers a probe. Fail waits for that, but not for long.
func (c *Claim) Fail(sent bool) {
	known := c.suspect(sent)
	timer := time.NewTimer(mostSuspense)
	defer timer.Stop()
	select {
	case <-known:
	case <-timer.C:
	}
}

// suspect makes the claim's worker suspect and probes it. known is closed when it is
// known what has become of the worker.
func (c *Claim) suspect(sent bool) (known chan struct{}) {
	p, m := c.pool, c.member
	known = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	c.unsent, c.failedSent = !sent, c.failedSent || sent
	m.probes++
	if m.hasExited() { // the pool may have ended too, and then waits for no new goroutine
		c.probedLocked(true)
		close(known)
		return known
	}
	limit := max(p.settings.GracefulTimeout, mostSuspense)
	p.goroutines.Go(func() {
		defer close(known)
		ok := p.probe(m, limit)
		p.mu.Lock()
		defer p.mu.Unlock()
		c.probedLocked(ok)
	})
	return known
}

// probe reports whether the worker has exited or answered within limit.
func (p *Pool) probe(m *member, limit time.Duration) (known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.goroutines.Go(func() {
		select {
		case <-m.exited:
			cancel()
		case <-ctx.Done():
		}
	})
	again := time.NewTicker(probePeriod)
	defer again.Stop()
	for m.worker.Probe(ctx) != nil {
		select {
		case <-again.C:
		case <-ctx.Done():
			return m.hasExited()
		}
	}
	return true
}

// probedLocked ends the claim after the probe. A worker that has neither exited nor
// answered is Stuck.
func (c *Claim) probedLocked(known bool) {
	p, m := c.pool, c.member
	if m.probes--; m.open() {
		p.rank.add(m)
	}
	if !known {
		p.stuckLocked(m, ReasonUnreachable)
	}
	c.releaseLocked(true)
	if m.hasExited() && !c.unsent {
		c.blameLocked(time.Now())
	}
}

// blameLocked records that the claim's worker died while it ran the request. The request
// is remembered as deadly if it is the second such worker, or if the worker lacked
// memory for it. A worker that ran other requests too may have died of one of those.
func (c *Claim) blameLocked(now time.Time) {
	m, d := c.member, &c.pool.deadly
	switch m.reason {
	case ReasonCrash:
		c.deaths++
	case ReasonOOM:
		c.deaths = mostDeaths // another worker would have no more memory
	default:
		return
	}
	if m.ran <= 1 && (c.deaths >= mostDeaths || d.has(c.what, now)) {
		d.add(c.what, now)
	}
}

// Retry claims another worker for a request that failed, before all that wait. It takes
// a worker on which the request failed only while the site has no other. A request that
// was sent and that is deadly is refused with ErrDeadly.
func (c *Claim) Retry(ctx context.Context) (*Claim, error) {
	p := c.pool
	p.mu.Lock()
	next, err := c.retryLocked()
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return next.Wait(ctx)
}

func (c *Claim) retryLocked() (*Claim, error) {
	p := c.pool
	if c.deaths >= mostDeaths || c.failedSent && p.deadly.has(c.what, time.Now()) {
		return nil, ErrDeadly
	}
	next := &Claim{pool: p, what: c.what, requeued: true, failedSent: c.failedSent, deaths: c.deaths, avoids: append(slices.Clip(c.avoids), c.member)}
	return next, p.placeLocked(next)
}

// avoidsLocked reports whether the claim does not take m: the request failed there, and
// the site has another worker, or will have one.
func (c *Claim) avoidsLocked(m *member) bool {
	if !slices.Contains(c.avoids, m) {
		return false
	}
	live := 0
	for _, o := range c.pool.members {
		if o.live() && !o.hasExited() {
			live++
			if !slices.Contains(c.avoids, o) {
				return true
			}
		}
	}
	return live < c.pool.desired
}

// ranLocked returns how many requests a worker was running when it exited.
func (m *member) ranLocked() (n int) {
	for _, c := range m.claims {
		if !c.follower && !c.unsent {
			n++
		}
	}
	return n
}

func (m *member) noteFailedLocked(c *Claim) {
	m.failed = append(m.failed, failedRequest{c.what, time.Now()})
	m.failed = m.failed[max(0, len(m.failed)-maxFailed):]
}
