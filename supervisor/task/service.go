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

// Service keeps one process running. When the process exits, for whatever reason, a new one
// is started: after 0.1 s the first time, then ever later while no process lives long.
type Service struct {
	opts     Options
	restarts chan restart  // from Restart to Run
	done     chan struct{} // is closed when Run has returned

	starting sync.Mutex // is held while a process is started, and while the service is paused

	mu sync.Mutex
	// mu protects all below
	status    ServiceStatus
	process   Process       // the running one; nil: none runs
	inherited Process       // of the image before, with which Run begins; nil: none
	wait      time.Duration // before the next start; 0: the last process did not fail
}

// ServiceStatus is what a service was doing at one moment.
type ServiceStatus struct {
	State    string // "running", "waiting" to be started again, or "stopped"
	PID      int    // 0: it does not run
	Started  time.Time
	Restarts int    // unplanned exits
	LastExit string // how it last exited, or why it did not start
}

// restart is a request for a new process.
type restart struct {
	reason string
	done   chan struct{} // is closed when the process was started, or failed to
}

// NewService returns a Service. Nothing starts before Run.
func NewService(o Options) *Service {
	return &Service{opts: o.withDefaults(), restarts: make(chan restart), done: make(chan struct{}), status: ServiceStatus{State: "stopped"}}
}

// Run keeps the process running until ctx ends.
func (s *Service) Run(ctx, force context.Context) {
	defer close(s.done)
	defer s.setState("stopped")
	p, began, asked := s.begin(ctx)
	for p != nil || ctx.Err() == nil {
		var err error
		if p == nil {
			began = time.Now()
			p, err = s.start()
		}
		if asked != nil {
			close(asked.done)
			asked = nil
		}
		if err == nil {
			asked = s.awaitExit(ctx, force, p, began)
		}
		p = nil
		if asked == nil {
			asked = s.awaitStart(ctx, s.nextWait(time.Since(began)))
		}
		if asked != nil {
			s.setWait(0)
		}
	}
}

// begin returns the inherited process, or waits as the image before would have done.
func (s *Service) begin(ctx context.Context) (Process, time.Time, *restart) {
	s.mu.Lock()
	p, began, wait := s.inherited, s.status.Started, s.wait
	s.inherited = nil
	s.mu.Unlock()
	switch {
	case p != nil:
		s.running(p, began)
		return p, began, nil
	case wait > 0:
		s.setState("waiting")
		return nil, began, s.awaitStart(ctx, wait)
	}
	return nil, began, nil
}

// Restart replaces the process by a new one, and returns when that was started or has failed
// to start.
func (s *Service) Restart(reason string) {
	r := restart{reason, make(chan struct{})}
	select {
	case s.restarts <- r:
	case <-s.done:
		return
	}
	select {
	case <-r.done:
	case <-s.done:
	}
}

// Status returns what the service is doing.
func (s *Service) Status() ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// start starts the process and reports that.
func (s *Service) start() (Process, error) {
	p, err := s.startProcess()
	if err != nil {
		e := Event{Kind: Failed, Time: time.Now(), Err: err}
		s.failed(e)
		s.opts.Observe(e)
		return nil, err
	}
	s.opts.Observe(Event{Kind: Started, Time: time.Now(), PID: p.PID()})
	return p, nil
}

func (s *Service) startProcess() (Process, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	p, err := s.opts.Start()
	if err == nil {
		s.running(p, time.Now())
	}
	return p, err
}

// awaitExit returns when the process has exited, with the restart that was the reason.
func (s *Service) awaitExit(ctx, force context.Context, p Process, began time.Time) *restart {
	var asked *restart
	reason := ReasonCrash
	select {
	case <-p.Done():
	case r := <-s.restarts:
		asked, reason = &r, r.reason
		stop(force, p, s.opts.Grace())
	case <-ctx.Done():
		reason = stopReason(ctx)
		stop(force, p, s.opts.Grace())
	}
	e := exitEvent(p, began, reason)
	if reason == ReasonCrash {
		s.failed(e)
	} else {
		s.setState("waiting")
	}
	s.opts.Observe(e)
	return asked
}

// awaitStart waits before the next start, at most until a restart is requested, which it
// returns.
func (s *Service) awaitStart(ctx context.Context, wait time.Duration) *restart {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case r := <-s.restarts:
		return &r
	case <-ctx.Done():
		return nil
	}
}

// running records that a process runs.
func (s *Service) running(p Process, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	s.status.State, s.status.PID, s.status.Started = "running", p.PID(), began
}

// setState records that no process runs.
func (s *Service) setState(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
	s.status.State, s.status.PID = state, 0
}

// nextWait returns how long to wait before the next start.
func (s *Service) nextWait(lived time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = waitAfter(s.wait, lived)
	return s.wait
}

// waitAfter returns how long to wait after a process that lived so long, when the wait
// before it was the given one: it doubles from 0.1 s to 30 s while none lives long.
func waitAfter(wait, lived time.Duration) time.Duration {
	if wait == 0 || lived > max(stable, 2*wait) {
		return firstWait
	}
	return min(2*wait, lastWait)
}

func (s *Service) setWait(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = wait
}

// failed records a failed start or an unplanned exit.
func (s *Service) failed(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
	s.status.State, s.status.PID, s.status.LastExit = "waiting", 0, e.String()
	if e.Kind == Exited {
		s.status.Restarts++
	}
}
