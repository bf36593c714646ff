package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// observe logs the start and the end of workers.
func (t *site) observe(e pool.Event) {
	w, _ := e.Worker.(worker)
	switch e.Kind {
	case pool.WorkerReady:
		t.log.Info("worker ready", "worker", e.ID, "pid", w.PID(), "generation", e.Generation, "duration", e.Age)
		t.limitAgain(e.ID, w) // sites.toml may have changed while it started
		if p, ok := w.(*wsgi.Worker); ok {
			t.setStatic(p.Static())
		}
	case pool.WorkerFailed:
		if told := (*sharedError)(nil); errors.As(e.Err, &told) {
			return
		}
		t.log.Error("worker failed to start", "worker", e.ID, "pid", pidOf(e), "generation", e.Generation,
			"reason", string(e.Reason), "age", e.Age, "error", e.Err)
		t.logDetail(e.Err)
	case pool.WorkerExited:
		w.Close()
		t.log.Log(context.Background(), gravity(e.Reason), "worker ended", exitAttrs(e, w)...)
		t.letZygoteRest()
	}
	t.super.journal.Record(journalEvent(t.name, e))
}

// gravity tells how much an end matters to whoever reads the log.
func gravity(r pool.Reason) slog.Level {
	switch r {
	case pool.ReasonCrash, pool.ReasonOOM:
		return slog.LevelError
	case pool.ReasonRequestTimeout, pool.ReasonMemoryLimit, pool.ReasonCPUTimeLimit:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func journalEvent(site string, e pool.Event) journal.Event {
	j := journal.Event{Time: e.Time, Site: site, Worker: e.ID, PID: pidOf(e), Kind: string(e.Kind), Reason: string(e.Reason)}
	switch {
	case e.Err != nil:
		j.Detail = describeError(e.Err)
	case e.Kind == pool.WorkerExited:
		j.Detail = describeExit(e)
	}
	return j
}

func exitAttrs(e pool.Event, w worker) []any {
	attrs := []any{
		"worker", e.ID, "pid", w.PID(), "reason", string(e.Reason), "exit", w.Exit().String(),
		"age", e.Age, "requests", e.Requests,
	}
	if len(e.Running) > 0 {
		attrs = append(attrs, "running", strings.Join(e.Running, ", "))
	}
	return attrs
}

// pidOf is the process of an event, 0 if none was started.
func pidOf(e pool.Event) int {
	if e.Worker != nil {
		return e.Worker.PID()
	}
	var launch *process.LaunchError
	if errors.As(e.Err, &launch) {
		return launch.PID
	}
	return 0
}

// describeExit is one line about the end of a worker.
func describeExit(e pool.Event) string {
	if e.ID == "" { // none has ended
		return ""
	}
	exit := "before it was ready"
	if w, ok := e.Worker.(worker); ok {
		exit = w.Exit().String()
	}
	s := fmt.Sprintf("%s pid %d: %s, %s", e.ID, pidOf(e), e.Reason, exit)
	if len(e.Running) > 0 {
		s += ", while it ran " + strings.Join(e.Running, ", ")
	}
	return fmt.Sprintf("%s, after %d requests in %v", s, e.Requests, e.Age.Round(time.Millisecond))
}
