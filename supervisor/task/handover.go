package task

import (
	"syscall"
	"time"
)

// fallbackTimeout is the stop timeout of a process that an older image has handed over and
// that no task has any more.
const fallbackTimeout = 15 * time.Second

// Handover is a task as one image of this program hands it over to the next. Its JSON is
// read by other versions of this program: an older one does not know the fields from Stop
// on, takes a process that was told to exit for one that runs, and leaves an old one to
// itself.
type Handover struct {
	Started  time.Time     `json:"started"`
	Runs     int           `json:"runs,omitempty"`     // of a job
	Skipped  int           `json:"skipped,omitempty"`  // of a job
	Restarts int           `json:"restarts,omitempty"` // of a service
	LastExit string        `json:"last_exit,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"` // before a service is started again; 0: it has not failed
	Next     time.Time     `json:"next,omitzero"`  // when a job is due, or was due when it could not be started

	Stop    *Stop  `json:"stop,omitempty"`    // how Process will be stopped
	Told    *Told  `json:"told,omitempty"`    // nil: Process was not told to exit
	OldTold *Told  `json:"old,omitempty"`     // of Old
	Restart string `json:"restart,omitempty"` // why a service is to be restarted when Old has exited; "": it is not

	// Process is the running one and Old that which finishes beside it; nil: there is none.
	// The next image sets them to the same processes before it calls Inherit.
	Process Process `json:"-"`
	Old     Process `json:"-"`
}

// running returns the running process, which will be stopped as given.
func (h Handover) running(stop Stop) *running {
	switch {
	case stop != Stop{}:
	case h.Stop != nil:
		stop = *h.Stop
	default: // the image before did not say
		stop = Stop{fallbackTimeout, syscall.SIGTERM}
	}
	return &running{Process: h.Process, began: h.Started, stop: stop, told: h.Told}
}

// Pause lets no process be started or stopped until resume is called, and returns the
// state of the task.
func (s *Service) Pause() (h Handover, resume func()) {
	s.starting.Lock()
	s.mu.Lock()
	defer s.mu.Unlock()
	h = Handover{Started: s.started, Restarts: s.restarts, LastExit: s.lastExit, Wait: s.wait}
	h.Process, h.Stop, h.Told = s.current.handOver()
	h.Old, _, h.OldTold = s.old.handOver()
	if len(s.asked) > 0 {
		h.Restart = s.asked[0].reason
	}
	return h, s.starting.Unlock
}

// Inherit makes a new service go on where that of the image before stopped. stop says how
// its process will be stopped; zero: as the image before would have. It is called before
// Run.
func (s *Service) Inherit(h Handover, stop Stop) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.restarts, s.lastExit, s.wait = h.Started, h.Restarts, h.LastExit, h.Wait
	if h.Process != nil {
		s.current = h.running(stop)
	}
	if h.Old != nil && h.OldTold != nil {
		s.old = &running{Process: h.Old, began: h.OldTold.Began, told: h.OldTold}
	}
	if h.Restart != "" {
		s.asked = append(s.asked, restart{h.Restart, make(chan struct{})})
	}
}

// Pause lets no process be started or stopped until resume is called, and returns the
// state of the task.
func (j *Job) Pause() (h Handover, resume func()) {
	j.starting.Lock()
	j.mu.Lock()
	defer j.mu.Unlock()
	h = Handover{
		Started: j.status.Started, Runs: j.status.Runs, Skipped: j.status.Skipped, LastExit: j.status.LastExit, Next: j.status.Next,
	}
	h.Process, h.Stop, h.Told = j.current.handOver()
	if j.busy && j.current == nil {
		h.Next = j.claimed
	}
	return h, j.starting.Unlock
}

// Inherit makes a new job go on where that of the image before stopped. stop says how its
// process will be stopped; zero: as the image before would have. It is called before Run.
func (j *Job) Inherit(h Handover, stop Stop) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Started, j.status.Runs, j.status.Skipped, j.status.LastExit = h.Started, h.Runs, h.Skipped, h.LastExit
	j.status.Next = h.Next
	if h.Process != nil {
		j.current = h.running(stop)
		j.status.PID, j.busy = h.Process.PID(), true
	}
}
