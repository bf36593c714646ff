package pool

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
)

// ErrScaledAgain is why Scale did not reach its number: another one was set meanwhile.
var ErrScaledAgain = errors.New("it was scaled to another number meanwhile")

// Apply changes the settings. No worker restarts.
func (p *Pool) Apply(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applyLocked(s)
}

func (p *Pool) applyLocked(s Settings) {
	p.settings = s
	heap.Init(&p.rank) // whether a worker is full depends on Threads
	if !p.stopped {
		p.desired = min(max(p.desired, s.Min), s.Max)
	}
	p.dispatchLocked()
	p.changedLocked()
}

// Scale sets a fixed number of workers and returns when it is reached. After an error
// the pool keeps the settings and the workers that it had.
func (p *Pool) Scale(ctx context.Context, n int) error {
	p.mu.Lock()
	before, desired := p.settings, p.desired
	s := p.settings
	s.Min, s.Max = n, n
	p.applyLocked(s)
	p.mu.Unlock()
	err := p.AwaitTarget(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.settings.Min != n || p.settings.Max != n:
		return cmp.Or(err, ErrScaledAgain)
	case err != nil && !p.stopped && p.readyLocked() < n:
		s = p.settings
		s.Min, s.Max = before.Min, before.Max
		p.desired, p.backoff = desired, backoff{} // the workers that failed are no longer needed
		p.applyLocked(s)
		p.drainSurplusLocked() // drain now, so that a launch that fails from here on does not count
	}
	return err
}

// readyLocked returns how many workers are ready and not about to be replaced.
func (p *Pool) readyLocked() (n int) {
	for _, m := range p.members {
		if m.state == Ready && !p.outgoingLocked(m) {
			n++
		}
	}
	return n
}
