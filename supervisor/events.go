package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/launches"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// observe logs that a worker is ready, has failed to start or has exited, and does what
// has to be done then.
func (t *site) observe(e pool.Event) {
	w, _ := e.Worker.(worker)
	switch e.Kind {
	case pool.WorkerReady:
		t.log.Info("worker ready", "worker", e.ID, "pid", w.PID(), "generation", e.Generation, "duration", e.Age)
		t.measureFresh(e, w)
		t.limitAgain(e.ID, w) // sites.toml may have changed while it started
		if p, ok := w.(*wsgi.Worker); ok {
			t.setStatic(p.Static())
		}
	case pool.WorkerFailed:
		if shared := (*launches.SharedError)(nil); errors.As(e.Err, &shared) {
			return
		}
		t.happened(e.Time, "start failed")
		t.log.Error("worker failed to start", append(exitAttrs(e), "generation", e.Generation, "error", e.Err)...)
		t.log.leftovers("worker", e.ID, processOf(e))
		t.log.detail(e.Err)
	case pool.WorkerExited:
		t.countExit(string(e.Reason))
		if w != nil { // otherwise it was never ready
			w.Close()
		}
		if severity(e) > slog.LevelInfo {
			t.happened(e.Time, string(e.Reason))
		}
		t.log.Log(context.Background(), severity(e), "worker ended", exitAttrs(e)...)
		t.log.leftovers("worker", e.ID, processOf(e))
		t.unloadLater()
	}
	t.super.journal.Record(journalEvent(t.name, e))
}

// measureFresh measures a worker that has served nothing yet.
func (t *site) measureFresh(e pool.Event, w worker) {
	if !t.config().Preload.LearnsWarmup() {
		return
	}
	current, _ := t.launchedFrom()
	current.fresh.Store(memoryOfProcess(w.PID()).USS) // of a trial it is the generation before, which ends
}

// severity returns the level at which the exit of a worker is logged.
func severity(e pool.Event) slog.Level {
	switch e.Reason {
	case pool.ReasonCrash, pool.ReasonOOM:
		return slog.LevelError
	case pool.ReasonRequestTimeout, pool.ReasonUnreachable, pool.ReasonMemoryLimit, pool.ReasonCPUTimeLimit:
		return slog.LevelWarn
	}
	if overran(e) {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// overran reports whether a worker was killed because it had not exited within
// shutdown_timeout.
func overran(e pool.Event) bool {
	p := processOf(e)
	return p != nil && p.Overran()
}

func journalEvent(site string, e pool.Event) journal.Event {
	j := journal.Event{Time: e.Time, Site: site, Worker: e.ID, PID: pidOf(e), Kind: string(e.Kind), Reason: string(e.Reason)}
	switch e.Kind {
	case pool.WorkerFailed:
		j.Detail = describeExit(e) + "\n" + describeError(e.Err)
	case pool.WorkerExited:
		j.Detail = describeExit(e)
	}
	return j
}

func exitAttrs(e pool.Event) []any {
	attrs := []any{
		"worker", e.ID, "pid", pidOf(e), "reason", string(e.Reason), "exit", exitOf(e),
		"age", e.Age, "requests", e.Requests,
	}
	if len(e.Running) > 0 {
		attrs = append(attrs, "running", strings.Join(e.Running, ", "))
	}
	if overran(e) {
		attrs = append(attrs, "limit", "shutdown_timeout")
	}
	return attrs
}

// processOf returns the process of an event; nil if none was started.
func processOf(e pool.Event) *process.Process {
	if w, ok := e.Worker.(worker); ok {
		return w.OS()
	}
	var launch *process.LaunchError
	if errors.As(e.Err, &launch) {
		return launch.Process
	}
	return nil
}

// pidOf returns the pid of an event's process; 0 if none was started.
func pidOf(e pool.Event) int {
	if p := processOf(e); p != nil {
		return p.PID()
	}
	return 0
}

// exitOf returns how the process of an event exited, in words.
func exitOf(e pool.Event) string {
	p := processOf(e)
	switch {
	case p == nil:
		return "not started"
	case e.Worker == nil:
		return p.Exit().String() + " before it was ready"
	}
	return p.Exit().String()
}

// describeExit returns a line about the exit of a worker; "" if no worker has exited.
func describeExit(e pool.Event) string {
	if e.ID == "" {
		return ""
	}
	s := fmt.Sprintf("%s pid %d: %s, %s", e.ID, pidOf(e), e.Reason, exitOf(e))
	if len(e.Running) > 0 {
		s += ", while it ran " + strings.Join(e.Running, ", ")
	}
	return fmt.Sprintf("%s, after %d requests in %v", s, e.Requests, e.Age.Round(time.Millisecond))
}
