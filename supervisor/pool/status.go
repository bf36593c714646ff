package pool

import (
	"cmp"
	"time"
)

// SiteState is what a site as a whole is doing.
type SiteState string

// The states of a site.
const (
	SiteStarting SiteState = "starting"
	SiteRunning  SiteState = "running"  // every worker that should be is ready
	SiteDegraded SiteState = "degraded" // some are
	SiteSleeping SiteState = "sleeping" // none is, none should be: a request wakes it
	SiteStopped  SiteState = "stopped"
	SiteFailed   SiteState = "failed" // none is, and the last launch failed
)

// Status is what a pool was doing at one moment.
type Status struct {
	State      SiteState
	Generation int
	Desired    int
	Min, Max   int
	Ready      int
	Threads    int // requests that a worker takes at once
	Queued     int
	Active     int
	Served     int64 // requests finished by workers
	Refused    int64 // requests that got no worker
	Restarts   int   // workers that ended unplanned
	LastExit   Event // zero when none has ended
	LastError  error // why the last launch failed; nil when the last one succeeded
	Workers    []WorkerStatus
}

// WorkerStatus is what one worker was doing.
type WorkerStatus struct {
	ID         string
	Generation int
	State      string
	Worker     Worker // nil while starting
	Started    time.Time
	Requests   int64
	Active     int
}

// EventKind tells what happened to a worker.
type EventKind string

// What happens to a worker.
const (
	WorkerReady  EventKind = "worker ready"
	WorkerFailed EventKind = "worker failed to start"
	WorkerExited EventKind = "worker exited"
)

// Event is the start or the end of a worker.
type Event struct {
	Kind       EventKind
	Time       time.Time
	ID         string
	Generation int
	Worker     Worker // nil when it was never ready
	Reason     Reason
	Age        time.Duration
	Requests   int64
	Running    []string // requests that it had, or broke off as it ended: "GET /path"
	Err        error    // why it was never ready
}

type totals struct {
	served, refused int64
	restarts        int
	lastExit        Event
}

// Status returns what the pool is doing.
func (p *Pool) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Generation: p.current.generation,
		Desired:    p.desired,
		Min:        p.set.Min,
		Max:        p.set.Max,
		Threads:    cmp.Or(p.current.threads, p.set.Threads),
		Queued:     p.queue.len() + p.behind,
		Served:     p.totals.served,
		Refused:    p.totals.refused,
		Restarts:   p.totals.restarts,
		LastExit:   p.totals.lastExit,
		LastError:  p.trouble.broken,
	}
	for _, m := range p.members {
		if m.state == Ready && m.release == p.current {
			s.Ready++
		}
		s.Active += m.runningLocked()
		s.Workers = append(s.Workers, m.statusLocked())
	}
	s.State = p.stateLocked(s)
	return s
}

func (p *Pool) stateLocked(s Status) SiteState {
	serving := 0
	for _, m := range p.members {
		if m.state == Ready {
			serving++
		}
	}
	switch {
	case p.stopped, p.set.Max == 0:
		return SiteStopped
	case p.hopelessLocked():
		return SiteFailed
	case s.Desired == 0:
		return SiteSleeping
	case serving == 0:
		return SiteStarting
	case serving < s.Desired:
		return SiteDegraded
	}
	return SiteRunning
}

func (m *member) statusLocked() WorkerStatus {
	state := m.state.String()
	if m.state == Ready && len(m.claims) > 0 {
		state = "busy"
	}
	return WorkerStatus{
		ID: m.id, Generation: m.release.generation, State: state, Worker: m.worker,
		Started: m.started, Requests: m.requests, Active: m.runningLocked(),
	}
}

func (m *member) eventLocked(kind EventKind, now time.Time) Event {
	e := Event{
		Kind: kind, Time: now, ID: m.id, Generation: m.release.generation, Worker: m.worker,
		Reason: m.reason, Age: now.Sub(m.started), Requests: m.requests,
	}
	for _, b := range m.broken {
		if m.state == Stuck || now.Sub(b.at) <= deathLate {
			e.Running = append(e.Running, b.what)
		}
	}
	for _, c := range m.claims {
		if !c.behind && !c.refused {
			e.Running = append(e.Running, c.what)
		}
	}
	return e
}
