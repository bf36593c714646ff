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

	starting sync.Mutex // held while a process is started

	mu sync.Mutex
	// mu protects all below
	status    ServiceStatus
	process   Process       // that runs; nil: none does
	inherited Process       // that Run begins with; nil: none
	wait      time.Duration // before the next start; 0: the last one did not fail
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
	defer s.set("stopped")
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
			asked = s.attend(ctx, force, p, began)
		}
		p = nil
		if asked == nil {
			asked = s.rest(ctx, s.failedAgain(time.Since(began)))
		}
		if asked != nil {
			s.setWait(0)
		}
	}
}

// begin returns the process that was inherited, or waits as the image before would have.
func (s *Service) begin(ctx context.Context) (Process, time.Time, *request) {
	s.mu.Lock()
	p, began, wait := s.inherited, s.status.Started, s.wait
	s.inherited = nil
	s.mu.Unlock()
	switch {
	case p != nil:
		s.running(p, began)
		return p, began, nil
	case wait > 0:
		s.set("waiting")
		return nil, began, s.rest(ctx, wait)
	}
	return nil, began, nil
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
		reason = whyStopped(ctx)
		end(force, p, s.opts.Grace())
	}
	e := ended(p, began, reason)
	if reason == ReasonCrash {
		s.failed(e)
	} else {
		s.set("waiting")
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

func (s *Service) running(p Process, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	s.status.State, s.status.PID, s.status.Started = "running", p.PID(), began
}

// set is called when no process runs.
func (s *Service) set(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
	s.status.State, s.status.PID = state, 0
}

// failedAgain returns how long to wait before the next start.
func (s *Service) failedAgain(lived time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = nextWait(s.wait, lived)
	return s.wait
}

func (s *Service) setWait(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = wait
}

// failed takes note of an end that nobody asked for.
func (s *Service) failed(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = nil
	s.status.State, s.status.PID, s.status.LastExit = "waiting", 0, e.String()
	if e.Kind == Exited {
		s.status.Restarts++
	}
}
