package pool

import "context"

// HoldQueue lets all requests wait in the queue. Those that workers have go on, and so do
// followers, which were sent.
func (p *Pool) HoldQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// LetQueueGo lets the requests go on that wait, and returns how many those are.
func (p *Pool) LetQueueGo() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	n := p.queue.len()
	p.dispatchLocked()
	for range p.queue.len() { // as if they had just come
		p.growLocked()
	}
	return n
}

// RefuseHeld refuses the requests of a pool that is held, since it will be stopped: nobody
// has said that they may run.
func (p *Pool) RefuseHeld() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held {
		p.refusing = true
		p.refuseWaitingLocked(ErrStopped)
	}
}

// AwaitNoneRuns returns when no worker has a request, or with the cause of ctx's end.
func (p *Pool) AwaitNoneRuns(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.busy == 0 {
			p.mu.Unlock()
			return nil
		}
		if p.quiet == nil {
			p.quiet = make(chan struct{})
		}
		quiet := p.quiet
		p.mu.Unlock()
		select {
		case <-quiet:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
