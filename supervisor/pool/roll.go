package pool

import (
	"context"
	"fmt"
)

// Roll replaces every worker by one from the launcher, and at no moment fewer workers
// answer than before. One new worker is the trial of the new generation: if it does not
// become ready, Roll returns why, and nothing has changed. If it does, the generation is
// proven, and Roll calls proven unless that is nil: from then on workers are launched from
// l, whatever Roll returns. New workers are added and old ones drained in turn. Roll
// returns when the last old one has exited.
func (p *Pool) Roll(ctx context.Context, l Launcher, reason Reason, proven func()) error {
	select {
	case p.rolling <- struct{}{}:
		defer func() { <-p.rolling }()
	case <-ctx.Done():
		return fmt.Errorf("wait for another roll: %w", context.Cause(ctx))
	}
	g := p.beginTrial(l, reason)
	if err := p.awaitTrial(ctx, g); err != nil {
		return err
	}
	if proven != nil {
		proven()
	}
	return p.AwaitTarget(ctx)
}

// Switch makes l the launcher of a sleeping site, without a trial. It returns false if
// the site does not sleep.
func (p *Pool) Switch(l Launcher, reason Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.desired > 0 || len(p.members) > 0 || p.next != nil {
		return false
	}
	p.switchLocked(newGeneration(p.current.number+1, l, reason))
	p.changedLocked()
	return true
}

// Launcher returns the launcher of new workers.
func (p *Pool) Launcher() Launcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.launcher
}

// beginTrial sets up the trial of a new generation. A site that is scaled to 0 cannot
// try it, and just switches to it.
func (p *Pool) beginTrial(l Launcher, reason Reason) *generation {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := newGeneration(p.current.number+1, l, reason)
	switch {
	case p.stopped:
		return g
	case p.settings.Max == 0:
		p.switchLocked(g)
	default:
		p.next = g
	}
	p.changedLocked()
	return g
}

// awaitTrial returns when the trial has succeeded or failed.
func (p *Pool) awaitTrial(ctx context.Context, g *generation) error {
	for {
		p.mu.Lock()
		current, failed, stopped, changed := p.current == g, g.failed, p.stopped, p.changed
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
			if !p.abortTrial(g) {
				return nil
			}
			return fmt.Errorf("wait for the first new worker: %w", context.Cause(ctx))
		}
	}
}

// abortTrial ends a trial. It returns false if the trial has just succeeded.
func (p *Pool) abortTrial(g *generation) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != g {
		return p.current != g
	}
	p.next = nil
	for _, m := range p.members {
		if m.generation == g {
			p.retireLocked(m, g.reason)
		}
	}
	p.changedLocked()
	return true
}
