// Package task runs what a site has beside its web workers: a Service is a process that
// always runs, a Job a process that runs when its schedule says so.
//
// The caller of Run owns the task. Run returns when its context has ended and the process
// has exited, which is told to (SIGTERM) and killed after the grace period or when force
// ends. A task never has two processes at a time. Options say how a process is started,
// and what to call when something happens to it.
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
	Done() <-chan struct{}    // is closed when it has exited
	Exit() process.Exit       // says how, after Done
	Stop(grace time.Duration) // tells it to exit, kills it after grace, and returns when it has exited
	Kill()                    // kills it and does not wait
}

// Options are what a task is made of.
type Options struct {
	Start   func() (Process, error)
	Grace   func() time.Duration // from SIGTERM to SIGKILL
	Observe func(Event)          // is called for each event; may be nil
}

func (o Options) withDefaults() Options {
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	return o
}

// EventKind says what happened to a task.
type EventKind string

// The kinds of events.
const (
	Started EventKind = "started"
	Failed  EventKind = "failed to start"
	Exited  EventKind = "ended"
	Skipped EventKind = "skipped" // a run of a job was due and did not happen
)

// The reasons for which a process of a task exits.
const (
	ReasonCrash = "crash" // a service exited by itself
	ReasonDone  = "done"  // a job exited by itself, as it should
	ReasonStop  = "supervisor stop"
)

// StopReason is the cause with which the context of Run is cancelled if its process exits
// for another reason than ReasonStop.
type StopReason string

// Error returns the reason.
func (r StopReason) Error() string { return string(r) }

// stopReason returns why a context has ended.
func stopReason(ctx context.Context) string {
	var r StopReason
	if errors.As(context.Cause(ctx), &r) {
		return string(r)
	}
	return ReasonStop
}

// Event is something that happened to a task.
type Event struct {
	Kind   EventKind
	Time   time.Time
	PID    int           // of Started and Exited
	Reason string        // of Exited
	Exit   process.Exit  // of Exited
	Age    time.Duration // of Exited: how long the process has lived
	Err    error         // of Failed and Skipped
}

// String describes a failed start or an exit; "" for other events.
func (e Event) String() string {
	switch e.Kind {
	case Failed:
		return fmt.Sprintf("not started: %v", e.Err)
	case Exited:
		return fmt.Sprintf("pid %d: %s, %s", e.PID, e.Reason, e.Exit)
	}
	return ""
}

// stop stops a process and returns when it has exited; it kills the process when force
// ends.
func stop(force context.Context, p Process, grace time.Duration) {
	disarm := context.AfterFunc(force, p.Kill)
	defer disarm()
	p.Stop(grace)
}

func exitEvent(p Process, started time.Time, reason string) Event {
	now := time.Now()
	return Event{Kind: Exited, Time: now, PID: p.PID(), Reason: reason, Exit: p.Exit(), Age: now.Sub(started)}
}
