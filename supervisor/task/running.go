package task

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"
)

// running is a process of a task, from its start until its exit was seen. The mutex of
// the task protects its fields.
type running struct {
	Process
	began   time.Time
	stop    Stop        // how it will be stopped
	told    *Told       // nil: it was not told to exit
	overran atomic.Bool // it was killed because it had not exited in time
}

// Told says that a process was told to exit, and goes with it to the next image of this
// program. Its JSON is read by other versions.
type Told struct {
	Reason  string        `json:"reason"`
	Began   time.Time     `json:"began"` // when it was started
	Timeout time.Duration `json:"timeout"`
	By      time.Time     `json:"by"` // when it is killed
}

// done is closed when the process has exited. Without a process it is nil.
func (r *running) done() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.Done()
}

// tell sends the stop signal. It returns the event for that.
func (r *running) tell(reason string) Event {
	now := time.Now()
	r.told = &Told{Reason: reason, Began: r.began, Timeout: r.stop.Timeout, By: now.Add(r.stop.Timeout)}
	_ = r.Signal(r.stop.Signal) // if it fails, the process is killed later
	return Event{Kind: Stopping, Time: now, PID: r.PID(), Reason: reason, Stop: r.stop}
}

// awaitExit returns when a process that was told to exit at the latest at that time has
// exited. The process is killed at that time, or when force ends.
func (r *running) awaitExit(force context.Context, by time.Time) {
	defer context.AfterFunc(force, r.Kill)()
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-r.Done():
	case <-timer.C:
		r.overran.Store(true)
		r.Kill()
		<-r.Done()
	}
}

// exitEvent returns the event for the exit of the process. The reason is that for which it
// was told to exit, or otherwise the given one.
func (r *running) exitEvent(reason string) Event {
	now := time.Now()
	e := Event{Kind: Exited, Time: now, PID: r.PID(), Reason: reason, Process: r.Process, Exit: r.Exit(), Age: now.Sub(r.began)}
	if r.told != nil {
		e.Reason = r.told.Reason
		if r.overran.Load() && e.Exit.Signal == syscall.SIGKILL {
			e.Overran = r.told.Timeout
		}
	}
	return e
}

// handOver returns the part of a Handover that is about the process.
func (r *running) handOver() (p Process, stop *Stop, told *Told) {
	if r == nil {
		return nil, nil, nil
	}
	stopped := r.stop
	return r.Process, &stopped, r.told
}
