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
	if err == nil {
		p.becomeReady(m, w)
		p.attend(ctx, m, w)
	}
	if ctx.Err() != nil {
		p.Stop() // Run may not have seen it yet; what ctx ended did not fail
	}
	if err != nil {
		p.notReady(m, err)
		return
	}
	p.gone(m, w)
}

func (p *Pool) launch(ctx context.Context, m *member) (Worker, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	launched := make(chan struct{})
	defer close(launched)
	p.keepers.Go(func() {
		select {
		case <-m.leave:
			cancel(errLeave)
		case <-launched:
		}
	})
	return m.release.launcher.Launch(ctx, m.id)
}

// attend returns when the worker has ended.
func (p *Pool) attend(ctx context.Context, m *member, w Worker) {
	spare := context.AfterFunc(ctx, w.Kill)
	defer spare()
	select {
	case <-w.Done():
	case <-m.leave:
		p.finish(m, w)
	}
}

// finish lets a leaving worker answer what it has, then ends it.
func (p *Pool) finish(m *member, w Worker) {
	p.mu.Lock()
	graceful, shutdown := p.set.GracefulTimeout, p.set.ShutdownTimeout
	p.mu.Unlock()
	timer := time.NewTimer(graceful)
	defer timer.Stop()
	select {
	case <-m.empty:
	case <-timer.C:
	case <-w.Done():
	}
	select {
	case <-w.Done(): // it was not asked to
	default:
		w.Stop(shutdown)
	}
}

// becomeReady lets the worker take requests. A trial that succeeds makes its
// generation the current one.
func (p *Pool) becomeReady(m *member, w Worker) {
	now := time.Now()
	p.mu.Lock()
	m.worker = w
	m.ready, m.idle = now, now
	if i := slices.IndexFunc(p.members, func(o *member) bool { return o.spent != "" && len(o.claims) == 0 }); i >= 0 {
		m.idle = p.members[i].idleSince() // or a restart_interval would keep a site awake
	}
	if m.state == Starting {
		m.state = Ready
		p.rank.add(m)
		p.provedLocked(m.release)
		p.dispatchLocked()
	}
	if p.desired == 0 {
		p.triedAsleepLocked(m)
	}
	p.changedLocked()
	e := m.eventLocked(WorkerReady, now)
	p.mu.Unlock()
	p.observe(e)
}

// triedAsleepLocked lets a site sleep on whose new code was tried, unless somebody
// came meanwhile.
func (p *Pool) triedAsleepLocked(m *member) {
	if len(m.claims) > 0 {
		p.desired = 1
		return
	}
	m.leaveLocked(Draining, m.release.reason)
}

// provedLocked records that a release starts.
func (p *Pool) provedLocked(r *release) {
	switch r {
	case p.next:
		p.switchLocked(r)
	case p.current:
		p.trouble.broken = nil
	}
}

// switchLocked makes r what new workers are launched from. The failures of the
// one before say nothing about it.
func (p *Pool) switchLocked(r *release) {
	p.current, p.next = r, nil
	p.trouble = trouble{}
}

// notReady records a launch that failed.
func (p *Pool) notReady(m *member, err error) {
	now := time.Now()
	p.mu.Lock()
	if !m.live() {
		p.mu.Unlock()
		p.givenUp(m, err)
		return
	}
	p.removeLocked(m)
	e := m.eventLocked(WorkerFailed, now)
	e.Reason, e.Err = whyNotReady(err), err
	p.totals.lastExit = e
	switch m.release {
	case p.next:
		p.next.failed, p.next = err, nil
	case p.current:
		p.trouble.launchFailed(err, m.started, now)
		if p.hopelessLocked() {
			p.refuseWaitingLocked(&FailedError{Cause: err})
		}
	}
	p.changedLocked()
	p.mu.Unlock()
	p.observe(e)
}

// givenUp records the end of a worker that was to end before it was ready.
func (p *Pool) givenUp(m *member, err error) {
	p.mu.Lock()
	e := m.eventLocked(WorkerExited, time.Now())
	e.Err = err
	was, oom := endedOf(err)
	if oom {
		e.Reason = ReasonOOM
	}
	if was {
		p.totals.lastExit = e
	}
	p.mu.Unlock()
	if was {
		p.observe(e)
	}
	p.mu.Lock()
	p.removeLocked(m)
	p.changedLocked()
	p.mu.Unlock()
}

func whyNotReady(err error) Reason {
	_, oom := endedOf(err)
	switch {
	case errors.Is(err, ErrStartupTimeout):
		return ReasonStartupTimeout
	case oom:
		return ReasonOOM
	}
	return ReasonCrash
}

// endedOf tells what a failed launch says of its process.
func endedOf(err error) (was, oom bool) {
	var ended ExitError
	if errors.As(err, &ended) {
		return ended.Exited()
	}
	return false, false
}

// gone records the end of a worker that was ready. It keeps its place until that
// was observed: what it left behind, its socket above all, is removed by a name
// that its successor will have.
func (p *Pool) gone(m *member, w Worker) {
	now := time.Now()
	p.unline(m)
	p.mu.Lock()
	m.ran = m.ranLocked()
	switch {
	case m.live():
		m.reason = ReasonCrash
		p.totals.restarts++
		p.trouble.crashed(m, now)
	case w.Crashed(): // whatever it was to end for, that is what it ended of
		m.reason = ReasonCrash
		p.totals.restarts++
	case m.reason == ReasonRequestTimeout:
		p.totals.restarts++
	}
	if w.OOM() {
		m.reason = ReasonOOM
	}
	e := m.eventLocked(WorkerExited, now)
	e.Worker = w
	p.totals.lastExit = e
	close(m.ended)
	p.mu.Unlock()
	p.observe(e)

	p.mu.Lock()
	m.leaveLocked(Draining, m.reason)
	p.removeLocked(m)
	p.changedLocked()
	p.mu.Unlock()
}

func (p *Pool) removeLocked(m *member) {
	p.members = slices.DeleteFunc(p.members, func(o *member) bool { return o == m })
	p.begun.Remove(m.turn)
	p.rank.remove(m)
}

// hopelessLocked tells that no worker answers, though some should, and that the
// last launch failed.
func (p *Pool) hopelessLocked() bool {
	if p.trouble.broken == nil || p.desired == 0 {
		return false
	}
	return !slices.ContainsFunc(p.members, func(m *member) bool { return m.state == Ready })
}
