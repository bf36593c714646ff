package pool

import (
	"slices"
	"time"
)

// spread: up to a tenth of maximum_requests and of restart_interval is added by chance,
// so that workers that started together are not replaced together.
const spread = 10

// Recycle replaces a worker that has exceeded a limit which the caller measures. One
// worker of a site is replaced at a time, and drains when its successor is ready.
// Recycle returns false if the worker is to be replaced or to exit already.
func (p *Pool) Recycle(w Worker, reason Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.worker == w && m.state == Ready && m.exceeded == "" {
			m.exceeded = reason
			p.wakeLocked()
			return true
		}
	}
	return false
}

// recycleLocked marks the oldest worker that has reached a limit as due. If none has, it
// returns after which time one will have. No worker becomes due while another one is
// being replaced and has not exited.
func (p *Pool) recycleLocked(now time.Time) time.Duration {
	if p.stopped || p.next != nil || slices.ContainsFunc(p.members, p.outgoingLocked) {
		return forever
	}
	wait := forever
	var oldest *member
	var why Reason
	for _, m := range p.members {
		reason, rest := m.dueLocked(&p.settings, now)
		switch {
		case reason == "":
			wait = min(wait, rest)
		case oldest == nil || m.ready.Before(oldest.ready):
			oldest, why = m, reason
		}
	}
	if oldest != nil {
		oldest.due = why
	}
	return wait
}

// dueLocked returns why the worker is to be replaced, or after which time to look again.
func (m *member) dueLocked(s *Settings, now time.Time) (Reason, time.Duration) {
	if m.state != Ready {
		return "", forever
	}
	rest := forever
	if s.RestartInterval > 0 {
		more := time.Duration(m.chance * float64(s.RestartInterval/spread))
		rest = s.RestartInterval + more - now.Sub(m.ready)
	}
	idle := m.idleLeftLocked(s, now)
	switch {
	case m.exceeded != "":
		return m.exceeded, 0
	case idle <= 0:
		return ReasonInactivity, 0
	case s.MaximumRequests > 0 && m.requests >= m.mostRequests(s):
		return ReasonMaximumRequests, 0
	case rest <= 0:
		return ReasonRestartInterval, 0
	}
	return "", min(rest, idle)
}

// idleLeftLocked returns how long the worker may still be idle before a fresh one replaces
// it. Memory that its requests wrote to is not shared any more, and a new fork gives it
// back. A worker that has served nothing is fresh. The end of a request does not wake
// Run, so the result is at most InactivityTimeout.
func (m *member) idleLeftLocked(s *Settings, now time.Time) time.Duration {
	switch {
	case s.InactivityTimeout == 0:
		return forever
	case m.requests == 0 || !m.unusedLocked():
		return s.InactivityTimeout
	}
	return s.InactivityTimeout - now.Sub(m.idleSince())
}

// mostRequests returns maximum_requests for this worker.
func (m *member) mostRequests(s *Settings) int64 {
	return int64(s.MaximumRequests) + int64(m.chance*float64(s.MaximumRequests/spread+1))
}

// outgoingLocked reports whether the worker serves only until its successor is ready: it
// is due, or outdated, which means of an older generation.
func (p *Pool) outgoingLocked(m *member) bool { return m.generation != p.current || m.due != "" }

// whyOutgoingLocked returns why an outgoing worker is replaced.
func (p *Pool) whyOutgoingLocked(m *member) Reason {
	if m.due != "" {
		return m.due
	}
	return p.current.reason
}
