package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrDeadly is why a request is not sent once more: workers have ended of it.
var ErrDeadly = errors.New("workers ended while they ran this request")

const (
	deathSeen  = time.Second            // how long a broken request waits to learn what became of its worker
	deathLate  = time.Second            // after which a broken request is not what the worker died of
	maxBroken  = 8                      // requests that broke on one worker, kept for its end
	probeAgain = 100 * time.Millisecond // from one probe that failed to the next
)

// Fail is Release for a request that the worker did not answer as it should, be it
// that it was sent, or that the worker did not take it. Nothing else is sent there until
// the worker has ended or answers a probe. Fail waits for that too, but not for long.
func (c *Claim) Fail(sent bool) {
	known := c.doubt(sent)
	timer := time.NewTimer(deathSeen)
	defer timer.Stop()
	select {
	case <-known:
	case <-timer.C:
	}
}

// doubt takes the claim's worker out of the choice. known is closed when it is known
// what has become of it.
func (c *Claim) doubt(sent bool) (known chan struct{}) {
	p, m := c.pool, c.member
	known = make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	c.refused, c.risked = !sent, c.risked || sent
	m.doubts++
	if m.hasEnded() { // its keeper may not be there to be waited for
		c.knownLocked(true)
		close(known)
		return known
	}
	limit := max(p.set.GracefulTimeout, deathSeen)
	p.keepers.Go(func() {
		defer close(known)
		alive := p.probe(m, limit)
		p.mu.Lock()
		defer p.mu.Unlock()
		c.knownLocked(alive)
	})
	return known
}

// probe returns when the worker has ended or answers; false: neither within limit.
func (p *Pool) probe(m *member, limit time.Duration) (known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.keepers.Go(func() {
		select {
		case <-m.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	again := time.NewTicker(probeAgain)
	defer again.Stop()
	for m.worker.Probe(ctx) != nil {
		select {
		case <-again.C:
		case <-ctx.Done():
			return m.hasEnded()
		}
	}
	return true
}

// knownLocked ends the doubt. A worker that neither ends nor answers is given up.
func (c *Claim) knownLocked(known bool) {
	p, m := c.pool, c.member
	if m.doubts--; m.open() {
		p.rank.add(m)
	}
	if !known {
		p.stuckLocked(m, ReasonUnreachable)
	}
	c.releaseLocked(true)
	if m.hasEnded() && !c.refused {
		c.convictLocked(time.Now())
	}
}

// convictLocked notes that the claim's worker ended while it ran the request, which is
// remembered if it is the second one, or one that had no memory for it. Where others ran
// beside it, it may have been one of those.
func (c *Claim) convictLocked(now time.Time) {
	m, d := c.member, &c.pool.deadly
	switch m.reason {
	case ReasonCrash:
		c.ends++
	case ReasonOOM:
		c.ends = mostEnds // another one would have no more
	default:
		return
	}
	if m.ran <= 1 && (c.ends >= mostEnds || d.has(c.what, now)) {
		d.add(c.what, now)
	}
}

// Retry asks for another worker for a request that failed, before all who wait. It
// never gets one that it broke on while the site has others. A request that workers
// ended of, and that was sent, is refused: see ErrDeadly.
func (c *Claim) Retry(ctx context.Context) (*Claim, error) {
	p := c.pool
	next := &Claim{pool: p, what: c.what, again: true, risked: c.risked, ends: c.ends, shuns: append(slices.Clip(c.shuns), c.member)}
	p.mu.Lock()
	var err error
	if c.ends >= mostEnds || c.risked && p.deadly.has(c.what, time.Now()) {
		err = ErrDeadly
	} else {
		err = p.placeLocked(next)
	}
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return next.Wait(ctx)
}

// shunsLocked tells whether the claim does not take m: it broke there, and the site has,
// or will have, another worker.
func (c *Claim) shunsLocked(m *member) bool {
	if !slices.Contains(c.shuns, m) {
		return false
	}
	live := 0
	for _, o := range c.pool.members {
		if o.live() && !o.hasEnded() {
			live++
			if !slices.Contains(c.shuns, o) {
				return true
			}
		}
	}
	return live < c.pool.desired
}

// unline waits until no request is behind another at a worker that has ended, but not for
// long. Who sent them knows which were begun, and so what it ended of.
func (p *Pool) unline(m *member) {
	unlined := make(chan struct{})
	p.mu.Lock()
	m.unlined = unlined
	m.unlineLocked()
	p.mu.Unlock()
	timer := time.NewTimer(deathSeen)
	defer timer.Stop()
	select {
	case <-unlined:
	case <-timer.C:
	}
}

func (m *member) unlineLocked() {
	if m.unlined != nil && !slices.ContainsFunc(m.claims, func(c *Claim) bool { return c.behind }) {
		close(m.unlined)
		m.unlined = nil
	}
}

// ranLocked is how many requests a worker was at when it ended.
func (m *member) ranLocked() (n int) {
	for _, c := range m.claims {
		if !c.behind && !c.refused {
			n++
		}
	}
	return n
}

func (m *member) brokeLocked(c *Claim) {
	m.broken = append(m.broken, brokenRequest{c.what, time.Now()})
	m.broken = m.broken[max(0, len(m.broken)-maxBroken):]
}
