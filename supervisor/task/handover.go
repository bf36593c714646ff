package task

import "time"

// Handover is a task as one image of this program hands it over to the next. Its JSON is
// read by other versions of this program.
type Handover struct {
	Started  time.Time     `json:"started"`
	Runs     int           `json:"runs,omitempty"`     // of a job
	Skipped  int           `json:"skipped,omitempty"`  // of a job
	Restarts int           `json:"restarts,omitempty"` // of a service
	LastExit string        `json:"last_exit,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"` // before a service is started again; 0: it has not failed
	Next     time.Time     `json:"next,omitzero"`  // when a job is due, or was due when it could not be started

	// Process is the running one; nil: none runs. The next image sets it to the same
	// process before it calls Inherit.
	Process Process `json:"-"`
}

// Pause lets no process be started until resume is called, and returns the state of the
// task.
func (s *Service) Pause() (h Handover, resume func()) {
	s.starting.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Handover{
		Started: s.status.Started, Restarts: s.status.Restarts, LastExit: s.status.LastExit, Wait: s.wait, Process: s.process,
	}, s.starting.Unlock
}

// Inherit makes a new service go on where that of the image before stopped. It is called
// before Run.
func (s *Service) Inherit(h Handover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Started, s.status.Restarts, s.status.LastExit = h.Started, h.Restarts, h.LastExit
	s.wait, s.inherited = h.Wait, h.Process
	if h.Process != nil { // there may be another upgrade before Run has begun
		s.process = h.Process
		s.status.State, s.status.PID = "running", h.Process.PID()
	}
}

// Pause lets no process be started until resume is called, and returns the state of the
// task.
func (j *Job) Pause() (h Handover, resume func()) {
	j.starting.Lock()
	j.mu.Lock()
	defer j.mu.Unlock()
	h = Handover{
		Started: j.status.Started, Runs: j.status.Runs, Skipped: j.status.Skipped, LastExit: j.status.LastExit,
		Next: j.status.Next, Process: j.process,
	}
	if j.busy && j.process == nil {
		h.Next = j.claimed
	}
	return h, j.starting.Unlock
}

// Inherit makes a new job go on where that of the image before stopped. It is called before
// Run.
func (j *Job) Inherit(h Handover) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Started, j.status.Runs, j.status.Skipped, j.status.LastExit = h.Started, h.Runs, h.Skipped, h.LastExit
	j.status.Next = h.Next
	if j.process = h.Process; j.process != nil {
		j.status.PID, j.busy = h.Process.PID(), true
	}
}
