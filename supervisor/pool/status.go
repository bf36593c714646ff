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
	SiteRunning  SiteState = "running"  // as many workers are ready as should be
	SiteDegraded SiteState = "degraded" // some, but not as many as should be
	SiteSleeping SiteState = "sleeping" // none is ready and none should be: a request wakes the site
	SiteStopped  SiteState = "stopped"
	SiteFailed   SiteState = "failed" // none is ready, and the last launch failed
)

// Status is what a pool was doing at one moment.
type Status struct {
	State      SiteState
	Generation int
	Desired    int
	Min, Max   int
	Ready      int
	Threads    int   // requests that a worker takes at once
	Queued     int   // requests that wait in the queue or are followers
	Active     int   // requests that workers run
	Served     int64 // requests that have ended on workers
	Refused    int64 // requests that got no worker
	Restarts   int   // workers that exited unplanned
	LastExit   Event // zero if none has exited
	LastError  error // why the last launch failed; nil if it succeeded
	Workers    []WorkerStatus
}

// WorkerStatus is what one worker was doing.
type WorkerStatus struct {
	ID         string
	Generation int
	State      string // as State.String says, or "busy"
	Worker     Worker // nil while it starts
	Started    time.Time
	Since      time.Time // when State began
	Requests   int64
	Active     int
	Running    []Running // the requests that are Active
	Holds      int
}

// Running is a request that a worker runs.
type Running struct {
	What  string // "GET /path"
	Since time.Time
}

// EventKind says what happened to a worker.
type EventKind string

// The kinds of events.
const (
	WorkerReady  EventKind = "worker ready"
	WorkerFailed EventKind = "worker failed to start"
	WorkerExited EventKind = "worker exited"
)

// Event is the start or the exit of a worker.
type Event struct {
	Kind       EventKind
	Time       time.Time
	ID         string
	Generation int
	Worker     Worker // nil if it was never ready
	Reason     Reason
	Age        time.Duration
	Requests   int64
	Running    []string // requests that it ran when it exited, or failed shortly before: "GET /path"
	Err        error    // why it was never ready
}

// totals are the numbers of Status that only grow, since the first start of the site.
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
		Generation: p.current.number,
		Desired:    p.desired,
		Min:        p.settings.Min,
		Max:        p.settings.Max,
		Threads:    cmp.Or(p.current.threads, p.settings.Threads),
		Queued:     p.queue.len() + p.followers,
		Served:     p.totals.served,
		Refused:    p.totals.refused,
		Restarts:   p.totals.restarts,
		LastExit:   p.totals.lastExit,
		LastError:  p.backoff.lastError,
	}
	for _, m := range p.members {
		if m.state == Ready && m.generation == p.current {
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
	case p.stopped, p.settings.Max == 0:
		return SiteStopped
	case p.failedLocked():
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
	running := m.requestsLocked()
	return WorkerStatus{
		ID: m.id, Generation: m.generation.number, State: state, Worker: m.worker,
		Started: m.started, Since: m.sinceLocked(running), Requests: m.requests, Active: len(running), Running: running, Holds: len(m.holds),
	}
}

// requestsLocked returns the requests that the worker runs, without followers.
func (m *member) requestsLocked() []Running {
	running := make([]Running, m.runningLocked())
	for i := range running {
		running[i] = Running{What: m.claims[i].what, Since: m.claims[i].began}
		if m.threads == 1 {
			running[i].Since = m.began
		}
	}
	return running
}

// sinceLocked returns since when the worker has been in its state.
func (m *member) sinceLocked(running []Running) time.Time {
	switch {
	case m.state == Starting:
		return m.started
	case m.state != Ready:
		return m.told
	case len(running) > 0:
		return running[0].Since
	}
	return m.idleSince()
}

func (m *member) eventLocked(kind EventKind, now time.Time) Event {
	e := Event{
		Kind: kind, Time: now, ID: m.id, Generation: m.generation.number, Worker: m.worker,
		Reason: m.reason, Age: now.Sub(m.started), Requests: m.requests,
	}
	for _, f := range m.failed {
		if m.state == Stuck || now.Sub(f.at) <= deathLate {
			e.Running = append(e.Running, f.what)
		}
	}
	for _, c := range m.claims {
		if !c.follower && !c.unsent {
			e.Running = append(e.Running, c.what)
		}
	}
	return e
}
