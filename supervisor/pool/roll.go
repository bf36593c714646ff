package pool

import (
	"context"
	"fmt"
)

// Roll replaces every worker by one from the launcher, without a moment in which
// fewer answer. First one new worker is tried: if it does not become ready, Roll
// returns why, and nothing has changed. Then new ones are added and old ones
// drained in turn. Roll returns when the last old one has ended.
func (p *Pool) Roll(ctx context.Context, l Launcher, reason Reason) error {
	return p.RollNotify(ctx, l, reason, func() {})
}

// RollNotify is Roll that calls switched when the trial has succeeded: the new workers
// are the pool's from then on, whatever Roll returns.
func (p *Pool) RollNotify(ctx context.Context, l Launcher, reason Reason, switched func()) error {
	select {
	case p.rolling <- struct{}{}:
		defer func() { <-p.rolling }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another roll: %w", context.Cause(ctx))
	}
	r := p.begin(l, reason)
	if err := p.tried(ctx, r); err != nil {
		return err
	}
	switched()
	return p.AwaitTarget(ctx)
}

// Switch makes l what a site that sleeps will be launched from, without a trial.
// False: it does not sleep.
func (p *Pool) Switch(l Launcher, reason Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.desired > 0 || len(p.members) > 0 || p.next != nil {
		return false
	}
	p.switchLocked(newRelease(p.current.generation+1, l, reason))
	p.changedLocked()
	return true
}

// Launcher returns what new workers are launched from.
func (p *Pool) Launcher() Launcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.launcher
}

// begin sets up the trial of a new generation. A site that may have no worker has
// nothing to try it with.
func (p *Pool) begin(l Launcher, reason Reason) *release {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := newRelease(p.current.generation+1, l, reason)
	switch {
	case p.stopped:
		return r
	case p.set.Max == 0:
		p.switchLocked(r)
	default:
		p.next = r
	}
	p.changedLocked()
	return r
}

// tried returns when the trial has succeeded or failed.
func (p *Pool) tried(ctx context.Context, r *release) error {
	for {
		p.mu.Lock()
		current, failed, stopped, changed := p.current == r, r.failed, p.stopped, p.changed
		p.mu.Unlock()
		switch {
		case current:
			return nil
		case failed != nil:
			return failed
		case stopped:
			return ErrStopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !p.abort(r) {
				return nil
			}
			return fmt.Errorf("wait for the first new worker: %w", context.Cause(ctx))
		}
	}
}

// abort ends a trial. False: it has succeeded in this moment.
func (p *Pool) abort(r *release) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != r {
		return p.current != r
	}
	p.next = nil
	for _, m := range p.members {
		if m.release == r {
			p.leaveLocked(m, r.reason)
		}
	}
	p.changedLocked()
	return true
}
