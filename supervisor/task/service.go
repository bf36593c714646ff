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
	// So many failures in so short a time are a loop, which a person should look at.
	loopFailures = 3
	loopTime     = 5 * time.Minute
)

// Service keeps one process running. When the process exits, for whatever reason, a new one
// is started: after 0.1 s the first time, then ever later while no process lives long.
//
// A restart tells the process to exit and starts a new one when it has. If the service
// overlaps, the new one is started at once, and the old one finishes beside it. There is
// never more than one old process: a restart that comes while there is one waits until it
// has exited.
type Service struct {
	opts    Options
	changed chan struct{}  // makes Run look at asked; holds at most one value
	stops   sync.WaitGroup // the goroutines that wait for processes that were told to exit
	done    chan struct{}  // is closed when Run has returned

	starting sync.Mutex // is held while a process is started or told to exit, and while the service is paused

	mu sync.Mutex
	// mu protects all below. Only Run changes current, old and due, so it reads them
	// without mu.
	current  *running      // nil: none runs
	old      *running      // was told to exit, and its successor need not wait for that; nil: there is none
	asked    []restart     // which no process was started for yet
	wait     time.Duration // before the last start; 0: the process before had not failed
	due      time.Time     // when to start a process if none runs
	idle     string        // the state without a process
	started  time.Time     // when the last process was
	restarts int
	lastExit string
	failures [loopFailures]time.Time // when it last failed, the oldest first
}

// ServiceStatus is what a service was doing at one moment.
type ServiceStatus struct {
	Name     string
	State    string // "running", "stopping", "waiting" to be started, or "stopped"
	PID      int    // 0: it does not run
	Started  time.Time
	StopBy   time.Time // when the process is killed if it is stopping
	Restarts int       // unplanned exits
	LastExit string    // how it last exited against its will, or why it did not start
	Looping  bool      // it has failed again and again within the last minutes
	Old      OldStatus
}

// OldStatus is the old process of a service that overlaps; its PID is 0 if there is none.
type OldStatus struct {
	PID    int
	StopBy time.Time // when it is killed
}

// restart is a request for a new process.
type restart struct {
	reason string
	done   chan struct{} // is closed when the process was started, or failed to
}

// NewService returns a Service. Nothing starts before Run.
func NewService(o Options) *Service {
	return &Service{opts: o.withDefaults(), changed: make(chan struct{}, 1), done: make(chan struct{}), idle: "stopped"}
}

// Run keeps the process running until ctx ends.
func (s *Service) Run(ctx, force context.Context) {
	defer s.finish()
	s.begin(force)
	ended := ctx.Done()
	for ctx.Err() == nil || s.current != nil || s.old != nil {
		s.replace(force)
		due, stop := s.startTimer(ctx)
		select {
		case <-due:
			if ctx.Err() == nil { // both may have come
				s.start()
			}
		case <-s.current.done():
			s.exited(s.current)
		case <-s.old.done():
			s.oldExited()
		case <-s.changed:
		case <-ended:
			ended = nil
			s.tellCurrent(force, stopReason(ctx), false)
		}
		stop()
	}
}

// begin goes on where the image before stopped.
func (s *Service) begin(force context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle, s.due = "waiting", time.Now().Add(s.wait)
	for _, r := range []*running{s.current, s.old} {
		if r != nil && r.told != nil {
			s.awaitLocked(force, r)
		}
	}
}

// awaitLocked lets a process that was told to exit be killed in time.
func (s *Service) awaitLocked(force context.Context, r *running) {
	by := r.told.By
	s.stops.Go(func() { r.awaitExit(force, by) })
}

// finish records that Run returns.
func (s *Service) finish() {
	s.stops.Wait()
	close(s.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = "stopped"
	for _, r := range s.asked {
		close(r.done)
	}
	s.asked = nil
}

// Restart replaces the process by a new one. The channel is closed when that was started
// or has failed to start, or when Run has returned.
func (s *Service) Restart(reason string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isClosed(s.done) {
		return s.done
	}
	r := restart{reason, make(chan struct{})}
	s.asked = append(s.asked, r)
	select {
	case s.changed <- struct{}{}:
	default: // Run has not yet taken the last value
	}
	return r.done
}

// SetStop changes how the process will be stopped that runs now. It does not affect one
// that was told to exit.
func (s *Service) SetStop(stop Stop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current.stop = stop
	}
}

// replace does what restarts ask for, if it is possible now.
func (s *Service) replace(force context.Context) {
	s.mu.Lock()
	reason := ""
	if len(s.asked) > 0 {
		reason = s.asked[0].reason
		if s.current == nil {
			s.startNowLocked()
		}
	}
	told := s.current == nil || s.current.told != nil
	s.mu.Unlock()
	overlap := s.opts.Overlap()
	if reason == "" || told || overlap && s.old != nil {
		return
	}
	s.tellCurrent(force, reason, overlap)
}

// startNowLocked lets the next process be started without a wait.
func (s *Service) startNowLocked() { s.wait, s.due = 0, time.Now() }

// tellCurrent sends the process its stop signal. With overlap it makes room for its
// successor.
func (s *Service) tellCurrent(force context.Context, reason string, overlap bool) {
	s.starting.Lock()
	defer s.starting.Unlock()
	s.mu.Lock()
	r := s.current
	if r == nil || r.told != nil {
		s.mu.Unlock()
		return
	}
	e := r.tell(reason)
	s.awaitLocked(force, r)
	if overlap {
		s.current, s.old = nil, r
		s.startNowLocked()
	}
	s.mu.Unlock()
	s.opts.Observe(e)
}

// startTimer returns what fires when a process is to be started, if one is.
func (s *Service) startTimer(ctx context.Context) (due <-chan time.Time, stop func() bool) {
	if ctx.Err() != nil || s.current != nil || s.old != nil && !s.opts.Overlap() {
		return nil, func() bool { return true }
	}
	timer := time.NewTimer(time.Until(s.due))
	return timer.C, timer.Stop
}

// start starts the process and reports that.
func (s *Service) start() {
	asked, e := s.startProcess()
	s.opts.Observe(e)
	for _, r := range asked {
		close(r.done)
	}
}

func (s *Service) startProcess() ([]restart, Event) {
	s.starting.Lock()
	defer s.starting.Unlock()
	s.mu.Lock()
	asked := s.asked // what is asked for from now on takes another process
	s.asked = nil
	s.mu.Unlock()
	p, stop, err := s.opts.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err != nil {
		e := Event{Kind: Failed, Time: now, Err: err}
		s.failedLocked(e, 0)
		return asked, e
	}
	s.current, s.started = &running{Process: p, began: now, stop: stop}, now
	return asked, Event{Kind: Started, Time: now, PID: p.PID()}
}

// exited records and reports the exit of the current process.
func (s *Service) exited(r *running) {
	e := r.exitEvent(ReasonCrash)
	s.mu.Lock()
	s.current = nil
	if r.told == nil {
		s.restarts++
		s.failedLocked(e, e.Age)
	} else {
		s.startNowLocked()
		s.overranLocked(e)
	}
	s.mu.Unlock()
	s.opts.Observe(e)
}

// oldExited records and reports the exit of the old process.
func (s *Service) oldExited() {
	e := s.old.exitEvent(ReasonCrash)
	s.mu.Lock()
	s.old = nil
	s.overranLocked(e)
	s.mu.Unlock()
	s.opts.Observe(e)
}

// overranLocked records that a process was killed while it worked.
func (s *Service) overranLocked(e Event) {
	if e.Overran > 0 {
		s.lastExit = e.String()
	}
}

// failedLocked records a failed start, or the unplanned exit of a process that lived so
// long.
func (s *Service) failedLocked(e Event, lived time.Duration) {
	now := time.Now()
	s.lastExit = e.String()
	s.wait = waitAfter(s.wait, lived)
	s.due = now.Add(s.wait)
	copy(s.failures[:], s.failures[1:])
	s.failures[loopFailures-1] = now
}

// waitAfter returns how long to wait after a process that lived so long, when the wait
// before it was the given one: it doubles from 0.1 s to 30 s while none lives long.
func waitAfter(wait, lived time.Duration) time.Duration {
	if wait == 0 || lived > max(stable, 2*wait) {
		return firstWait
	}
	return min(2*wait, lastWait)
}

// Status returns what the service is doing.
func (s *Service) Status() ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := ServiceStatus{State: s.idle, Started: s.started, Restarts: s.restarts, LastExit: s.lastExit, Looping: time.Since(s.failures[0]) < loopTime}
	if s.current != nil {
		st.State, st.PID = "running", s.current.PID()
		if s.current.told != nil {
			st.State, st.StopBy = "stopping", s.current.told.By
		}
	}
	if s.old != nil {
		st.Old = OldStatus{s.old.PID(), s.old.told.By}
	}
	return st
}

// processes returns the processes that run.
func (s *Service) processes() (running []Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		running = append(running, s.current.Process)
	}
	if s.old != nil {
		running = append(running, s.old.Process)
	}
	return running
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
