package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// StartupTimeoutError is why a launch failed that took too long.
type StartupTimeoutError struct{ Limit time.Duration }

func (e StartupTimeoutError) Error() string {
	return fmt.Sprintf("not ready within %v (startup_timeout)", e.Limit)
}

// errRetired is why a launch is cancelled when its worker is not needed any more.
var errRetired = errors.New("no longer needed")

// supervise owns one worker from its launch to its end.
func (p *Pool) supervise(ctx context.Context, m *member) {
	w, err := p.launch(ctx, m)
	if err == nil {
		p.becomeReady(m, w)
		p.awaitExit(ctx, m, w)
	}
	if ctx.Err() != nil {
		p.Stop() // Run may not have seen it yet, and a launch or worker that ctx ended did not fail
	}
	if err != nil {
		p.launchFailed(m, err)
		return
	}
	p.exited(m, w)
}

// superviseInherited owns one worker that the image before this one has launched.
func (p *Pool) superviseInherited(ctx context.Context, m *member) {
	p.awaitExit(ctx, m, m.worker)
	if ctx.Err() != nil {
		p.Stop() // as in supervise
	}
	p.exited(m, m.worker)
}

func (p *Pool) launch(ctx context.Context, m *member) (Worker, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	launched := make(chan struct{})
	defer close(launched)
	p.goroutines.Go(func() {
		select {
		case <-m.retired:
			cancel(errRetired)
		case <-launched:
		}
	})
	return m.generation.launcher.Launch(ctx, m.id)
}

// awaitExit returns when the worker has exited. It stops a worker that is retired.
func (p *Pool) awaitExit(ctx context.Context, m *member, w Worker) {
	disarm := context.AfterFunc(ctx, w.Kill)
	defer disarm()
	select {
	case <-w.Done():
	case <-m.retired:
		p.drain(m, w)
	}
}

// drain lets a retired worker finish its requests for at most GracefulTimeout and then
// stops it. A worker with holds is told to exit when its requests have ended, and may end
// the holds in the rest of that time.
func (p *Pool) drain(m *member, w Worker) {
	p.mu.Lock()
	graceful, shutdown := p.settings.GracefulTimeout, p.settings.ShutdownTimeout
	p.mu.Unlock()
	end := time.Now().Add(graceful)
	timer := time.NewTimer(graceful)
	defer timer.Stop()
	select {
	case <-m.drained:
	case <-timer.C:
	case <-w.Done():
	}
	select {
	case <-w.Done(): // by itself
		return
	default:
	}
	if p.holds(m) == 0 {
		w.Stop(shutdown)
		return
	}
	rest := max(time.Until(end), 0)
	cutting := time.AfterFunc(rest, func() { p.cutHolds(m) })
	defer cutting.Stop()
	w.Stop(rest + shutdown)
}

// becomeReady lets the worker take requests. A generation under trial becomes the
// current one.
func (p *Pool) becomeReady(m *member, w Worker) {
	now := time.Now()
	p.mu.Lock()
	m.worker = w
	m.ready, m.idle = now, now
	if i := slices.IndexFunc(p.members, func(o *member) bool { return o.due != "" && len(o.claims) == 0 }); i >= 0 {
		m.idle = p.members[i].idleSince() // otherwise restart_interval would keep an idle site awake
	}
	if m.state == Starting {
		m.state = Ready
		p.rank.add(m)
		p.provenLocked(m.generation)
		p.dispatchLocked()
	}
	if p.desired == 0 {
		p.trialAsleepLocked(m)
	}
	p.changedLocked()
	e := m.eventLocked(WorkerReady, now)
	p.mu.Unlock()
	p.observe(e)
}

// trialAsleepLocked retires the worker with which a new generation of a sleeping site was
// tried, unless it has got a request meanwhile.
func (p *Pool) trialAsleepLocked(m *member) {
	if len(m.claims) > 0 {
		p.desired = 1
		return
	}
	m.retireLocked(Draining, m.generation.reason)
}

// provenLocked records that a worker of a generation has become ready.
func (p *Pool) provenLocked(g *generation) {
	switch g {
	case p.next:
		p.switchLocked(g)
	case p.current:
		p.backoff.lastError = nil
	}
}

// switchLocked makes g the generation from which new workers are launched. Failures of
// the one before say nothing about it.
func (p *Pool) switchLocked(g *generation) {
	p.current, p.next = g, nil
	p.backoff = backoff{}
}

// launchFailed records a launch that has failed or was cancelled.
func (p *Pool) launchFailed(m *member, err error) {
	now := time.Now()
	p.mu.Lock()
	if !m.live() {
		p.mu.Unlock()
		p.launchCancelled(m, err)
		return
	}
	p.removeLocked(m)
	e := m.eventLocked(WorkerFailed, now)
	e.Reason, e.Err = whyLaunchFailed(err), err
	p.totals.lastExit = e
	switch m.generation {
	case p.next:
		p.next.failed, p.next = err, nil
	case p.current:
		p.backoff.launchFailed(err, m.started, now)
		if p.failedLocked() {
			p.refuseWaitingLocked(&FailedError{Cause: err})
		}
	}
	p.changedLocked()
	p.mu.Unlock()
	p.observe(e)
}

// launchCancelled records that a worker was retired before it was ready.
func (p *Pool) launchCancelled(m *member, err error) {
	p.mu.Lock()
	e := m.eventLocked(WorkerExited, time.Now())
	e.Err = err
	exited, oom := exitOf(err)
	if oom {
		e.Reason = ReasonOOM
	}
	if exited {
		p.totals.lastExit = e
	}
	p.mu.Unlock()
	if exited {
		p.observe(e)
	}
	p.mu.Lock()
	p.removeLocked(m)
	p.changedLocked()
	p.mu.Unlock()
}

func whyLaunchFailed(err error) Reason {
	_, oom := exitOf(err)
	switch {
	case errors.As(err, new(StartupTimeoutError)):
		return ReasonStartupTimeout
	case oom:
		return ReasonOOM
	}
	return ReasonCrash
}

// exitOf returns what the error of a launch says of a process, see ExitError.
func exitOf(err error) (exited, oom bool) {
	var e ExitError
	if errors.As(err, &e) {
		return e.Exited()
	}
	return false, false
}

// exited records the exit of a worker that was ready. The worker keeps its place until
// the exit was observed: its socket and whatever else it left behind has a name that its
// successor will have, and is removed by then.
func (p *Pool) exited(m *member, w Worker) {
	now := time.Now()
	p.awaitRecall(m)
	p.mu.Lock()
	m.ran = m.ranLocked()
	p.judgeExitLocked(m, w, now)
	e := m.eventLocked(WorkerExited, now)
	e.Worker = w
	p.totals.lastExit = e
	close(m.exited)
	p.mu.Unlock()
	p.observe(e)

	p.mu.Lock()
	m.retireLocked(Draining, m.reason)
	p.removeLocked(m)
	p.changedLocked()
	p.mu.Unlock()
}

// judgeExitLocked decides why a worker has exited, and counts exits that were not planned.
func (p *Pool) judgeExitLocked(m *member, w Worker, now time.Time) {
	switch {
	case m.live():
		m.reason = ReasonCrash
		p.totals.restarts++
		p.backoff.crashed(m, now)
	case w.Crashed(): // whatever it was retired for
		m.reason = ReasonCrash
		p.totals.restarts++
	case m.reason == ReasonRequestTimeout:
		p.totals.restarts++
	}
	if w.OOM() {
		m.reason = ReasonOOM
	}
}

func (p *Pool) removeLocked(m *member) {
	p.members = slices.DeleteFunc(p.members, func(o *member) bool { return o == m })
	p.recent.Remove(m.recent)
	p.rank.remove(m)
}

// failedLocked reports whether no worker is ready, although some should be, and the last
// launch has failed.
func (p *Pool) failedLocked() bool {
	if p.backoff.lastError == nil || p.desired == 0 {
		return false
	}
	return !slices.ContainsFunc(p.members, func(m *member) bool { return m.state == Ready })
}
