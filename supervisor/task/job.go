package task

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lookAgain is how often a job that waits looks at the clock, which may have been
// set, and how late a run may begin. The machine may have slept: what was due
// then is not made up.
const lookAgain = time.Minute

var errMissed = errors.New("missed: the machine or the supervisor was not awake")

// Schedule says when a job is due.
type Schedule interface {
	Next(after time.Time) time.Time
}

// Job runs a process whenever its schedule says so. One that is due while the
// last run goes on is skipped.
type Job struct {
	opts    Options
	changed chan struct{} // tells Run to look at the schedule again

	starting sync.Mutex // held while a process is started

	mu sync.Mutex
	// mu protects all below
	schedule Schedule
	status   JobStatus
	busy     bool
	claimed  time.Time // since when it is
	process  Process   // that runs; nil: none does
}

// JobStatus is what a job was doing at one moment.
type JobStatus struct {
	Next     time.Time
	PID      int // of the run that goes on; 0: none
	Started  time.Time
	Runs     int
	Skipped  int
	LastExit string
}

// NewJob returns a Job. Nothing starts before Run.
func NewJob(s Schedule, o Options) *Job {
	return &Job{opts: o.withDefaults(), changed: make(chan struct{}, 1), schedule: s}
}

// SetSchedule changes when the job is due. A run that goes on is not touched.
func (j *Job) SetSchedule(s Schedule) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.schedule = s
	select {
	case j.changed <- struct{}{}:
	default: // Run will look anyway
	}
}

// Status returns what the job is doing.
func (j *Job) Status() JobStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// Run starts the process at each time of the schedule until ctx ends.
func (j *Job) Run(ctx, force context.Context) {
	var runs sync.WaitGroup
	defer runs.Wait()
	j.mu.Lock()
	inherited, began := j.process, j.status.Started
	j.mu.Unlock()
	if inherited != nil {
		runs.Go(func() { j.attend(ctx, force, inherited, began) })
	}
	for j.due(ctx) {
		if j.claim() {
			runs.Go(func() { j.run(ctx, force) })
		}
	}
}

// due returns true when a run is due, and false when ctx has ended.
func (j *Job) due(ctx context.Context) bool {
	next := j.first()
	for {
		timer := time.NewTimer(min(time.Until(next), lookAgain))
		select {
		case <-timer.C:
		case <-j.changed:
			timer.Stop()
			next = j.plan()
			continue
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		late := time.Since(next) // next has no monotonic reading: it is the clock on the wall that counts
		if late >= 0 && late < lookAgain {
			return true
		}
		if late > 0 {
			j.skip(errMissed)
		}
		next = j.plan()
	}
}

// first is the next time after now, or one that passed during an upgrade.
func (j *Job) first() time.Time {
	j.mu.Lock()
	next := j.status.Next
	j.mu.Unlock()
	if next.IsZero() || next.After(time.Now()) { // by a schedule that may have changed
		return j.plan()
	}
	return next
}

// plan finds the next time after now.
func (j *Job) plan() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Next = j.schedule.Next(time.Now())
	return j.status.Next
}

// claim tells whether a run may begin: no other one goes on.
func (j *Job) claim() bool {
	j.mu.Lock()
	busy, pid := j.busy, j.status.PID
	now := time.Now()
	if !busy {
		j.busy, j.claimed = true, now
	}
	j.status.Next = j.schedule.Next(now) // or the image after us would take it for due once more
	j.mu.Unlock()
	if busy {
		j.skip(fmt.Errorf("the last run has not ended (pid %d)", pid))
	}
	return !busy
}

func (j *Job) skip(err error) {
	j.mu.Lock()
	j.status.Skipped++
	j.mu.Unlock()
	j.opts.Observe(Event{Kind: Skipped, Time: time.Now(), Err: err})
}

func (j *Job) run(ctx, force context.Context) {
	began := time.Now()
	p, err := j.start(began)
	if err != nil {
		j.finish(Event{Kind: Failed, Time: began, Err: err})
		return
	}
	j.opts.Observe(Event{Kind: Started, Time: began, PID: p.PID()})
	j.attend(ctx, force, p, began)
}

func (j *Job) start(began time.Time) (Process, error) {
	j.starting.Lock()
	defer j.starting.Unlock()
	p, err := j.opts.Start()
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.process = p
	j.status.PID, j.status.Started = p.PID(), began
	j.status.Runs++
	return p, nil
}

// attend returns when the process has ended.
func (j *Job) attend(ctx, force context.Context, p Process, began time.Time) {
	reason := ReasonDone
	select {
	case <-p.Done():
	case <-ctx.Done():
		reason = whyStopped(ctx)
		end(force, p, j.opts.Grace())
	}
	j.finish(ended(p, began, reason))
}

// finish lets the next run begin.
func (j *Job) finish(e Event) {
	j.mu.Lock()
	j.process, j.busy = nil, false
	j.status.PID, j.status.LastExit = 0, e.String()
	j.mu.Unlock()
	j.opts.Observe(e)
}
