package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errLeave is why a launch is cancelled when its worker is no longer wanted.
var errLeave = errors.New("no longer needed")

// keep owns one worker from its launch to its end.
func (p *Pool) keep(ctx context.Context, m *member) {
	w, err := p.launch(ctx, m)
	if err != nil {
		p.notReady(m, err)
		return
	}
	p.becomeReady(m, w)
	select {
	case <-w.Done():
	case <-m.leave:
		p.finish(ctx, m, w)
	case <-ctx.Done():
		w.Kill()
		<-w.Done()
	}
	p.gone(m, w)
}

func (p *Pool) launch(ctx context.Context, m *member) (Worker, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	launched := make(chan struct{})
	defer close(launched)
	go func() {
		select {
		case <-m.leave:
			cancel(errLeave)
		case <-launched:
		}
	}()
	return m.release.launcher.Launch(ctx, m.id)
}

// finish lets a leaving worker answer what it has, then ends it.
func (p *Pool) finish(ctx context.Context, m *member, w Worker) {
	p.mu.Lock()
	graceful, shutdown := p.set.GracefulTimeout, p.set.ShutdownTimeout
	p.mu.Unlock()
	timer := time.NewTimer(graceful)
	defer timer.Stop()
	select {
	case <-m.empty:
	case <-timer.C:
	case <-w.Done():
	case <-ctx.Done():
		shutdown = 0
	}
	w.Stop(shutdown)
}

// becomeReady lets the worker take requests. A trial that succeeds makes its
// generation the current one.
func (p *Pool) becomeReady(m *member, w Worker) {
	now := time.Now()
	p.mu.Lock()
	m.worker = w
	m.ready, m.used = now, now
	if m.state == Starting {
		m.state = Ready
	}
	if m.release == p.next {
		p.current, p.next = p.next, nil
	}
	if m.release == p.current {
		p.trouble.recovered()
	}
	p.dispatchLocked()
	p.changedLocked()
	e := m.eventLocked(WorkerReady, now)
	p.mu.Unlock()
	p.observe(e)
}

// notReady records a launch that failed.
func (p *Pool) notReady(m *member, err error) {
	now := time.Now()
	p.mu.Lock()
	unwanted := !m.live()
	p.removeLocked(m)
	e := m.eventLocked(WorkerFailed, now)
	e.Reason, e.Err = ReasonStartup, err
	switch {
	case unwanted:
	case m.release == p.next:
		p.next.failed = err
	case m.release == p.current:
		p.trouble.launchFailed(err, now)
		if p.hopelessLocked() {
			p.queue.failAll(&FailedError{Cause: err})
		}
	}
	p.changedLocked()
	p.mu.Unlock()
	if !unwanted {
		p.observe(e)
	}
}

// gone records the end of a worker that was ready.
func (p *Pool) gone(m *member, w Worker) {
	now := time.Now()
	p.mu.Lock()
	crashed := m.live()
	if crashed {
		m.leaveLocked(Draining, ReasonCrash)
		p.totals.restarts++
		p.trouble.crashed(now.Sub(m.ready), now)
	}
	if m.reason == ReasonRequestTimeout {
		p.totals.restarts++
	}
	p.removeLocked(m)
	e := m.eventLocked(WorkerExited, now)
	e.Worker = w
	p.totals.lastExit = e
	p.changedLocked()
	p.mu.Unlock()
	p.observe(e)
}

func (p *Pool) removeLocked(m *member) {
	p.members = slices.DeleteFunc(p.members, func(o *member) bool { return o == m })
}

// hopelessLocked tells that no worker answers, and that the last launch failed.
func (p *Pool) hopelessLocked() bool {
	if p.trouble.broken == nil {
		return false
	}
	return !slices.ContainsFunc(p.members, func(m *member) bool { return m.state == Ready })
}
