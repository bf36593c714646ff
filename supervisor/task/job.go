package task

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// clockPeriod is how often a job that waits reads the clock, which may have been set, and
// how late a run may begin. Runs that were due while the machine slept are skipped.
const clockPeriod = time.Minute

var errMissed = errors.New("missed: the machine or the supervisor was not awake")

// Schedule says when a job is due.
type Schedule interface {
	Next(after time.Time) time.Time
}

// noSchedule is that of a job that was removed.
type noSchedule struct{}

func (noSchedule) Next(time.Time) time.Time { return time.Time{} }
func (noSchedule) String() string           { return "" }

// Job runs a process whenever its schedule says so. A run that is due while the last one
// goes on is skipped.
type Job struct {
	opts    Options
	changed chan struct{} // makes Run ask the schedule again; holds at most one value

	starting sync.Mutex // is held while a process is started or told to exit, and while the job is paused

	mu sync.Mutex
	// mu protects all below
	schedule Schedule
	status   JobStatus
	busy     bool      // a run goes on, or is about to start
	claimed  time.Time // since when busy
	current  *running  // nil: none runs
}

// JobStatus is what a job was doing at one moment.
type JobStatus struct {
	Name     string
	Schedule Schedule
	Next     time.Time // when the next run is due
	PID      int       // of the run that goes on; 0: none does
	StopBy   time.Time // when that is killed; zero: it was not told to exit
	Started  time.Time // of the last run
	Runs     int
	Skipped  int
	LastExit string // how the last run exited, or why it did not start
}

// NewJob returns a Job. Nothing starts before Run.
func NewJob(s Schedule, o Options) *Job {
	return &Job{opts: o.withDefaults(), changed: make(chan struct{}, 1), schedule: s}
}

// SetSchedule changes when the job is due. It does not affect a run that goes on.
func (j *Job) SetSchedule(s Schedule) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.schedule = s
	select {
	case j.changed <- struct{}{}:
	default: // Run has not yet taken the last value
	}
}

// SetStop changes how the run will be stopped that goes on now. It does not affect one
// that was told to exit.
func (j *Job) SetStop(stop Stop) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.current != nil {
		j.current.stop = stop
	}
}

// Status returns what the job is doing.
func (j *Job) Status() JobStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := j.status
	st.Schedule = j.schedule
	if j.current != nil && j.current.told != nil {
		st.StopBy = j.current.told.By
	}
	return st
}

// processes returns the process that runs, if one does.
func (j *Job) processes() []Process {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.current == nil {
		return nil
	}
	return []Process{j.current.Process}
}

// Run starts the process at each time of the schedule until ctx ends.
func (j *Job) Run(ctx, force context.Context) {
	var runs sync.WaitGroup
	defer runs.Wait()
	j.mu.Lock()
	inherited := j.current
	j.mu.Unlock()
	if inherited != nil {
		runs.Go(func() { j.awaitExit(ctx, force, inherited) })
	}
	for ctx.Err() == nil && j.due(ctx) {
		if j.claim() {
			runs.Go(func() { j.run(ctx, force) })
		}
	}
}

// due waits for the next run. It returns false when ctx has ended.
func (j *Job) due(ctx context.Context) bool {
	next := j.first()
	for {
		timer := time.NewTimer(min(time.Until(next), clockPeriod))
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
		late := time.Since(next) // next has no monotonic reading: the wall clock counts
		if late >= 0 && late < clockPeriod {
			return true
		}
		if late > 0 {
			j.skip(errMissed)
		}
		next = j.plan()
	}
}

// first returns the next time after now, or one that has passed during an upgrade.
func (j *Job) first() time.Time {
	j.mu.Lock()
	next := j.status.Next
	j.mu.Unlock()
	if next.IsZero() || next.After(time.Now()) { // the schedule may have changed
		return j.plan()
	}
	return next
}

// plan asks the schedule for the next time after now.
func (j *Job) plan() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status.Next = j.schedule.Next(time.Now())
	return j.status.Next
}

// claim makes the job busy and returns true, unless another run goes on.
func (j *Job) claim() bool {
	j.mu.Lock()
	busy, pid := j.busy, j.status.PID
	now := time.Now()
	if !busy {
		j.busy, j.claimed = true, now
	}
	j.status.Next = j.schedule.Next(now) // otherwise the next image would start the run once more
	j.mu.Unlock()
	if busy {
		j.skip(fmt.Errorf("the last run has not ended (pid %d)", pid))
	}
	return !busy
}

// skip reports a run that does not happen.
func (j *Job) skip(err error) {
	j.mu.Lock()
	j.status.Skipped++
	j.mu.Unlock()
	j.opts.Observe(Event{Kind: Skipped, Time: time.Now(), Err: err})
}

// run is one run, from its start to the exit of its process.
func (j *Job) run(ctx, force context.Context) {
	began := time.Now()
	r, err := j.start(began)
	if err != nil {
		j.finish(Event{Kind: Failed, Time: began, Err: err})
		return
	}
	j.opts.Observe(Event{Kind: Started, Time: began, PID: r.PID()})
	j.awaitExit(ctx, force, r)
}

func (j *Job) start(began time.Time) (*running, error) {
	j.starting.Lock()
	defer j.starting.Unlock()
	p, stop, err := j.opts.Start()
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.current = &running{Process: p, began: began, stop: stop}
	j.status.PID, j.status.Started = p.PID(), began
	j.status.Runs++
	return j.current, nil
}

// awaitExit returns when the process has exited.
func (j *Job) awaitExit(ctx, force context.Context, r *running) {
	if r.told == nil {
		select {
		case <-r.Done():
		case <-ctx.Done():
			j.tell(r, stopReason(ctx))
		}
	}
	if r.told != nil {
		r.awaitExit(force, r.told.By)
	}
	j.finish(r.exitEvent(ReasonDone))
}

func (j *Job) tell(r *running, reason string) {
	j.starting.Lock()
	defer j.starting.Unlock()
	j.mu.Lock()
	e := r.tell(reason)
	j.mu.Unlock()
	j.opts.Observe(e)
}

// finish records the end of a run, so that the next one may begin.
func (j *Job) finish(e Event) {
	j.mu.Lock()
	j.current, j.busy = nil, false
	j.status.PID, j.status.LastExit = 0, e.String()
	j.mu.Unlock()
	j.opts.Observe(e)
}
