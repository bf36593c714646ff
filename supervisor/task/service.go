package task

import (
	"context"
	"sync"
	"time"
)

const (
	firstWait = 100 * time.Millisecond
	lastWait  = 30 * time.Second
	// stable is how long a process must live for the next failure to count as the first.
	stable = time.Second
)

// Service keeps one process running. One that ends, however, is started again:
// at once the first time, then ever later while it does not stay.
type Service struct {
	opts  Options
	again chan request
	gone  chan struct{} // closed when Run has returned

	mu sync.Mutex
	// mu protects status
	status ServiceStatus
}

// ServiceStatus is what a service was doing at one moment.
type ServiceStatus struct {
	State    string // "running", "waiting" to be started again, or "stopped"
	PID      int    // 0: it does not run
	Started  time.Time
	Restarts int    // ends that nobody asked for
	LastExit string // how it last ended or why it did not start
}

// request asks for a new process.
type request struct {
	reason string
	done   chan struct{} // closed when it was started, or failed to
}

// NewService returns a Service. Nothing starts before Run.
func NewService(o Options) *Service {
	return &Service{opts: o.withDefaults(), again: make(chan request), gone: make(chan struct{}), status: ServiceStatus{State: "stopped"}}
}

// Run keeps the process running until ctx ends.
func (s *Service) Run(ctx, force context.Context) {
	defer close(s.gone)
	defer s.set("stopped", 0)
	var asked *request
	for wait := time.Duration(0); ; {
		began := time.Now()
		p, err := s.start()
		if asked != nil {
			close(asked.done)
			asked = nil
		}
		if err == nil {
			asked = s.attend(ctx, force, p, began)
		}
		if asked == nil {
			wait = nextWait(wait, time.Since(began))
			asked = s.rest(ctx, wait)
		}
		if asked != nil {
			wait = 0
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// Restart replaces the process by a new one and returns when that has been
// started, or has failed to.
func (s *Service) Restart(reason string) {
	r := request{reason, make(chan struct{})}
	select {
	case s.again <- r:
	case <-s.gone:
		return
	}
	select {
	case <-r.done:
	case <-s.gone:
	}
}

// Status returns what the service is doing.
func (s *Service) Status() ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Service) start() (Process, error) {
	p, err := s.opts.Start()
	if err != nil {
		e := Event{Kind: Failed, Time: time.Now(), Err: err}
		s.failed(e)
		s.opts.Observe(e)
		return nil, err
	}
	s.set("running", p.PID())
	s.opts.Observe(Event{Kind: Started, Time: time.Now(), PID: p.PID()})
	return p, nil
}

// attend returns when the process has ended, with the request that ended it.
func (s *Service) attend(ctx, force context.Context, p Process, began time.Time) *request {
	var asked *request
	reason := ReasonCrash
	select {
	case <-p.Done():
	case r := <-s.again:
		asked, reason = &r, r.reason
		end(force, p, s.opts.Grace())
	case <-ctx.Done():
		reason = ReasonStop
		end(force, p, s.opts.Grace())
	}
	e := ended(p, began, reason)
	if reason == ReasonCrash {
		s.failed(e)
	} else {
		s.set("waiting", 0)
	}
	s.opts.Observe(e)
	return asked
}

// rest waits before the next start, or until somebody asks for it.
func (s *Service) rest(ctx context.Context, wait time.Duration) *request {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case r := <-s.again:
		return &r
	case <-ctx.Done():
		return nil
	}
}

// nextWait doubles from 0.1 s to 30 s while the process does not stay.
func nextWait(wait, lived time.Duration) time.Duration {
	if wait == 0 || lived > max(stable, 2*wait) {
		return firstWait
	}
	return min(2*wait, lastWait)
}

func (s *Service) set(state string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.State, s.status.PID = state, pid
	if pid != 0 {
		s.status.Started = time.Now()
	}
}

// failed takes note of an end that nobody asked for.
func (s *Service) failed(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.State, s.status.PID, s.status.LastExit = "waiting", 0, e.String()
	if e.Kind == Ended {
		s.status.Restarts++
	}
}
