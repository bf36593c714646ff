// Package task runs what a site has beside its web workers: a Service is a process that
// always runs, a Job a process that runs when its schedule says so.
//
// The caller of Run owns the task. Run returns when its context has ended and its
// processes have exited. A process that is to exit is sent its stop signal and finishes
// its work; it is killed after its stop timeout, or when force ends. A job never has two
// processes at a time, and a service has a second one only if it overlaps: the old one,
// which finishes its work while the new one runs. Options say how a process is started,
// and what to call when something happens to it.
package task

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// Process is a running process, as a task needs it.
type Process interface {
	PID() int
	Done() <-chan struct{}              // is closed when it has exited
	Exit() process.Exit                 // says how, after Done
	Signal(signal syscall.Signal) error // it is no error if the process has exited
	Kill()                              // kills it and its process group, and does not wait
}

// Stop says how a process is stopped.
type Stop struct {
	Timeout time.Duration  `json:"timeout"` // from Signal to SIGKILL
	Signal  syscall.Signal `json:"signal"`  // tells it to finish its work and exit
}

// Options are what a task is made of.
type Options struct {
	Start   func() (Process, Stop, error)
	Overlap func() bool // whether a new process starts while the old one finishes; nil: it does not
	Observe func(Event) // is called for each event; may be nil
}

func (o Options) withDefaults() Options {
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	if o.Overlap == nil {
		o.Overlap = func() bool { return false }
	}
	return o
}

// EventKind says what happened to a task.
type EventKind string

// The kinds of events.
const (
	Started  EventKind = "started"
	Failed   EventKind = "failed to start"
	Stopping EventKind = "stopping" // its process was sent the stop signal
	Exited   EventKind = "ended"
	Skipped  EventKind = "skipped" // a run of a job was due and did not happen
)

// The reasons for which a process of a task exits.
const (
	ReasonCrash = "crash" // a service exited by itself
	ReasonDone  = "done"  // a job exited by itself, as it should
	ReasonStop  = "supervisor stop"

	reasonRemoved = "reload" // an upgrade found it removed; elsewhere the caller of Apply says why
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
	Kind    EventKind
	Time    time.Time
	PID     int           // of Started, Stopping and Exited
	Reason  string        // of Stopping and Exited
	Stop    Stop          // of Stopping
	Process Process       // of Exited
	Exit    process.Exit  // of Exited
	Age     time.Duration // of Exited: how long the process has lived
	Overran time.Duration // of Exited: the stop timeout after which it was killed; 0: it was not
	Err     error         // of Failed and Skipped
}

// String describes a failed start or an exit; "" for other events.
func (e Event) String() string {
	switch {
	case e.Kind == Failed:
		return fmt.Sprintf("not started: %v", e.Err)
	case e.Kind != Exited:
		return ""
	case e.Overran > 0:
		return fmt.Sprintf("pid %d: %s, %s after stop_timeout = %v", e.PID, e.Reason, e.Exit, e.Overran)
	}
	return fmt.Sprintf("pid %d: %s, %s", e.PID, e.Reason, e.Exit)
}
