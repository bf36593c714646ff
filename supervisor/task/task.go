// Package task runs what stands beside the web workers of a site: a Service is a
// process that always runs, a Job one that runs when its schedule says so.
//
// Whoever calls Run owns the task: it returns when the context has ended and the
// process with it, asked first (SIGTERM), killed after the grace or when force
// ends. There are never two processes of one task at a time. How a process is
// started is told by a function; what happens to it is told to another.
package task

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// Process is a running process, as a task needs it.
type Process interface {
	PID() int
	Done() <-chan struct{} // closed when it has ended
	Exit() process.Exit
	Stop(grace time.Duration) // ends it, with force after grace; returns when it has ended
	Kill()                    // ends it at once
}

// Options are what a task is made of.
type Options struct {
	Start   func() (Process, error)
	Grace   func() time.Duration // from SIGTERM to SIGKILL
	Observe func(Event)          // told of what happens; may be nil
}

func (o Options) withDefaults() Options {
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return o
}

// EventKind tells what happened to a task.
type EventKind string

// What happens to a task.
const (
	Started EventKind = "started"
	Failed  EventKind = "failed to start"
	Exited  EventKind = "ended"
	Skipped EventKind = "skipped" // a run of a job that was due
)

// The reasons for which a process of a task ends.
const (
	ReasonCrash = "crash" // a service that ended by itself
	ReasonDone  = "done"  // so did a job, as it should
	ReasonStop  = "supervisor stop"
)

// StopReason is the cause with which the context of Run ends where the process is to end
// for another reason than ReasonStop.
type StopReason string

// Error returns the reason.
func (b StopReason) Error() string { return string(b) }

// whyStopped is the reason for which a context has ended.
func whyStopped(ctx context.Context) string {
	var b StopReason
	if errors.As(context.Cause(ctx), &b) {
		return string(b)
	}
	return ReasonStop
}

// Event is something that happened to a task.
type Event struct {
	Kind   EventKind
	Time   time.Time
	PID    int
	Reason string       // of Ended
	Exit   process.Exit // of Ended
	Age    time.Duration
	Err    error // of Failed and Skipped
}

// String is the end of a process in words; "" of anything else.
func (e Event) String() string {
	switch e.Kind {
	case Failed:
		return fmt.Sprintf("not started: %v", e.Err)
	case Exited:
		return fmt.Sprintf("pid %d: %s, %s", e.PID, e.Reason, e.Exit)
	}
	return ""
}

// end waits for the end of a process that has to go.
func end(force context.Context, p Process, grace time.Duration) {
	disarm := context.AfterFunc(force, p.Kill)
	defer disarm()
	p.Stop(grace)
}

func ended(p Process, started time.Time, reason string) Event {
	now := time.Now()
	return Event{Kind: Exited, Time: now, PID: p.PID(), Reason: reason, Exit: p.Exit(), Age: now.Sub(started)}
}
