package pool

import (
	"slices"
	"time"
)

// spread is the part of maximum_requests and of restart_interval that is added by
// chance, up to a tenth: workers that started together do not end together.
const spread = 10

// Recycle replaces a worker that has exceeded a limit measured from outside: one
// of a site at a time, and not before its successor is ready. False: it is to end
// already.
func (p *Pool) Recycle(w Worker, reason Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.worker == w && m.state == Ready && m.over == "" {
			m.over = reason
			p.lookLocked()
			return true
		}
	}
	return false
}

// recycleLocked chooses the next worker to replace: of those that have reached a
// limit the oldest. It returns when one will have, if none has. While one is
// being replaced, and until it has ended, no other is.
func (p *Pool) recycleLocked(now time.Time) time.Duration {
	if p.stopped || p.next != nil || slices.ContainsFunc(p.members, p.outdatedLocked) {
		return forever
	}
	wait := forever
	var oldest *member
	var why Reason
	for _, m := range p.members {
		reason, rest := m.dueLocked(&p.set, now)
		switch {
		case reason == "":
			wait = min(wait, rest)
		case oldest == nil || m.ready.Before(oldest.ready):
			oldest, why = m, reason
		}
	}
	if oldest != nil {
		oldest.spent = why
	}
	return wait
}

// dueLocked tells why the worker is to be replaced, or when it is to be looked
// at again.
func (m *member) dueLocked(s *Settings, now time.Time) (Reason, time.Duration) {
	if m.state != Ready {
		return "", forever
	}
	rest := forever
	if s.RestartInterval > 0 {
		more := time.Duration(m.chance * float64(s.RestartInterval/spread))
		rest = s.RestartInterval + more - now.Sub(m.ready)
	}
	idle := m.idleLocked(s, now)
	switch {
	case m.over != "":
		return m.over, 0
	case idle <= 0:
		return ReasonInactivity, 0
	case s.MaximumRequests > 0 && m.requests >= m.mostRequests(s):
		return ReasonMaximumRequests, 0
	case rest <= 0:
		return ReasonRestartInterval, 0
	}
	return "", min(rest, idle)
}

// idleLocked is how long the worker may still be idle before a fresh one takes its
// place: what its requests wrote to is memory that it shares with nobody, and a
// fork gives it back. One that has served nothing since it came is fresh. The end
// of a request wakes nobody, so it is never longer than InactivityTimeout.
func (m *member) idleLocked(s *Settings, now time.Time) time.Duration {
	switch {
	case s.InactivityTimeout == 0:
		return forever
	case m.requests == 0 || len(m.claims) > 0:
		return s.InactivityTimeout
	}
	return s.InactivityTimeout - now.Sub(m.idleSince())
}

// mostRequests is maximum_requests for this worker.
func (m *member) mostRequests(s *Settings) int64 {
	return int64(s.MaximumRequests) + int64(m.chance*float64(s.MaximumRequests/spread+1))
}

// outdatedLocked tells whether a worker serves only until its successor is ready.
func (p *Pool) outdatedLocked(m *member) bool { return m.release != p.current || m.spent != "" }

// whyOutdatedLocked is the reason for which an outdated worker ends.
func (p *Pool) whyOutdatedLocked(m *member) Reason {
	if m.spent != "" {
		return m.spent
	}
	return p.current.reason
}
