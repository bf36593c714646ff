package task

import "time"

// Handover is what one image of this program leaves to the next of a task.
type Handover struct {
	Started  time.Time     `json:"started"`
	Runs     int           `json:"runs,omitempty"`     // of a job
	Skipped  int           `json:"skipped,omitempty"`  // of a job
	Restarts int           `json:"restarts,omitempty"` // of a service
	LastExit string        `json:"last_exit,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"` // before a service is started again; 0: it has not failed
	Next     time.Time     `json:"next,omitzero"`  // when a job is due, or was when it could not be started

	// Process is the one that runs; nil: none does. Whoever makes the task of the
	// next image sets it to the same process.
	Process Process `json:"-"`
}

// Pause lets no process be started until resume is called, and tells of the task
// as it is then.
func (s *Service) Pause() (h Handover, resume func()) {
	s.starting.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Handover{
		Started: s.status.Started, Restarts: s.status.Restarts, LastExit: s.status.LastExit, Wait: s.wait, Process: s.process,
	}, s.starting.Unlock
}

// Inherit makes a new service that of the image before. It is called before Run.
func (s *Service) Inherit(h Handover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Started, s.status.Restarts, s.status.LastExit = h.Started, h.Restarts, h.LastExit
	s.wait, s.inherited = h.Wait, h.Process
	if h.Process != nil { // the next image may come before Run has
		s.process = h.Process
		s.status.State, s.status.PID = "running", h.Process.PID()
	}
}

// Pause lets no process be started until resume is called, and tells of the task
// as it is then.
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

// Inherit makes a new job that of the image before. It is called before Run.
func (j *Job) Inherit(h Handover) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Started, j.status.Runs, j.status.Skipped, j.status.LastExit = h.Started, h.Runs, h.Skipped, h.LastExit
	j.status.Next = h.Next
	if j.process = h.Process; j.process != nil {
		j.status.PID, j.busy = h.Process.PID(), true
	}
}
