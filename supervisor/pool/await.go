package pool

import (
	"context"
	"slices"
	"time"
)

// AwaitTarget returns when the pool has exactly the workers that it should have, or with
// the error that keeps it from getting there.
func (p *Pool) AwaitTarget(ctx context.Context) error {
	for {
		p.mu.Lock()
		err, onTarget := p.backoff.lastError, p.onTargetLocked()
		stopped, changed := p.stopped, p.changed
		p.mu.Unlock()
		switch {
		case stopped:
			return ErrStopped
		case onTarget:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// onTargetLocked reports whether the pool has what it should have. A worker that is due
// and its successor count as one.
func (p *Pool) onTargetLocked() bool {
	ready, starting, serving := 0, 0, 0
	for _, m := range p.members {
		switch {
		case m.due != "" && m.state == Ready:
			serving++
		case m.due != "":
		case m.generation != p.current:
			return false
		case m.state == Ready:
			ready++
		case m.state == Starting:
			starting++
		default:
			return false
		}
	}
	return ready+starting == p.desired && starting <= serving
}

// AwaitLaunches returns when no worker is being launched, or when ctx has ended.
func (p *Pool) AwaitLaunches(ctx context.Context) {
	for {
		p.mu.Lock()
		launching, changed := p.launchingLocked(), p.changed
		p.mu.Unlock()
		if !launching {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Pool) launchingLocked() bool {
	return slices.ContainsFunc(p.members, func(m *member) bool { return m.worker == nil })
}

// AwaitIdle returns when no request runs or waits in the queue, or when ctx has ended.
func (p *Pool) AwaitIdle(ctx context.Context) {
	for {
		p.mu.Lock()
		if p.idleLocked() {
			p.mu.Unlock()
			return
		}
		if p.idle == nil {
			p.idle = make(chan struct{})
		}
		idle := p.idle
		p.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// idleLocked reports whether no request runs or waits.
func (p *Pool) idleLocked() bool { return p.busy == 0 && p.queue.len() == 0 }

// AwaitLongRequests returns when the requests have ended that run now and still run after
// age, or when ctx has ended. Requests that begin later do not matter.
func (p *Pool) AwaitLongRequests(ctx context.Context, age time.Duration) {
	p.mu.Lock()
	g := p.awaitLocked()
	p.mu.Unlock()
	if g == nil {
		return
	}
	timer := time.NewTimer(age)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	select {
	case <-g.done:
	case <-ctx.Done(): // requestGoneLocked drops g when its requests have ended
	}
}

// awaitedGroup is the requests that one call of AwaitLongRequests waits for.
type awaitedGroup struct {
	left map[*Claim]bool // those that have not ended
	done chan struct{}   // is closed when none is left
}

// awaitLocked returns the requests that run now, as a group that requestGoneLocked watches;
// nil if none runs.
func (p *Pool) awaitLocked() *awaitedGroup {
	g := &awaitedGroup{left: map[*Claim]bool{}, done: make(chan struct{})}
	for _, m := range p.members {
		for _, c := range m.claims {
			g.left[c] = true
		}
	}
	if len(g.left) == 0 {
		return nil
	}
	p.awaited = append(p.awaited, g)
	return g
}

// requestGoneLocked wakes those that await the end of requests. It is called when c has
// left its worker, or with nil when claims have left the queue.
func (p *Pool) requestGoneLocked(c *Claim) {
	if p.idle != nil && p.idleLocked() {
		close(p.idle)
		p.idle = nil
	}
	if p.quiet != nil && p.busy == 0 {
		close(p.quiet)
		p.quiet = nil
	}
	if len(p.awaited) == 0 { // nearly always
		return
	}
	p.awaited = slices.DeleteFunc(p.awaited, func(g *awaitedGroup) bool {
		delete(g.left, c)
		if len(g.left) > 0 {
			return false
		}
		close(g.done)
		return true
	})
}
