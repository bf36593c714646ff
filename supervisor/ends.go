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
		if shared := (*launches.SharedError)(nil); errors.As(e.Err, &shared) {
			return
		}
		t.log.Error("worker failed to start", append(endAttrs(e), "generation", e.Generation, "error", e.Err)...)
		t.logLeftovers("worker", e.ID, processOf(e))
		t.logDetail(e.Err)
	case pool.WorkerExited:
		if w != nil { // else it was never ready
			w.Close()
		}
		t.log.Log(context.Background(), gravity(e.Reason), "worker ended", endAttrs(e)...)
		t.logLeftovers("worker", e.ID, processOf(e))
		t.unloadLater()
	}
	t.super.journal.Record(journalEvent(t.name, e))
}

// logLeftovers logs what a worker, service or command had started and what was killed with
// it. A process that is to live on needs a session of its own.
func (t *site) logLeftovers(kind, id string, p *process.Process) {
	if p == nil {
		return
	}
	for _, c := range p.Leftovers() {
		t.log.Warn("ended with it", kind, id, "pid", c.PID, "command", c.Command)
	}
}

// gravity tells how much an end matters to whoever reads the log.
func gravity(r pool.Reason) slog.Level {
	switch r {
	case pool.ReasonCrash, pool.ReasonOOM:
		return slog.LevelError
	case pool.ReasonRequestTimeout, pool.ReasonUnreachable, pool.ReasonMemoryLimit, pool.ReasonCPUTimeLimit:
		return slog.LevelWarn
	}
	return slog.LevelInfo
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

func endAttrs(e pool.Event) []any {
	attrs := []any{
		"worker", e.ID, "pid", pidOf(e), "reason", string(e.Reason), "exit", exitOf(e),
		"age", e.Age, "requests", e.Requests,
	}
	if len(e.Running) > 0 {
		attrs = append(attrs, "running", strings.Join(e.Running, ", "))
	}
	return attrs
}

// processOf is the process of an event, nil if none was started.
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

// pidOf is the number of the process of an event, 0 if none was started.
func pidOf(e pool.Event) int {
	if p := processOf(e); p != nil {
		return p.PID()
	}
	return 0
}

// exitOf is how the process of an event ended, in words.
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

// describeExit is one line about the end of a worker.
func describeExit(e pool.Event) string {
	if e.ID == "" { // none has ended
		return ""
	}
	s := fmt.Sprintf("%s pid %d: %s, %s", e.ID, pidOf(e), e.Reason, exitOf(e))
	if len(e.Running) > 0 {
		s += ", while it ran " + strings.Join(e.Running, ", ")
	}
	return fmt.Sprintf("%s, after %d requests in %v", s, e.Requests, e.Age.Round(time.Millisecond))
}

// output writes a line of a worker's output to the site's log.
func (t *site) output(worker, line string) { t.super.logs.Write(t.name, worker, line) }

// logDetail logs the traceback of a worker that did not start.
func (t *site) logDetail(err error) {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) {
		for line := range strings.Lines(launch.Detail) {
			t.super.logs.Write(t.name, "multisite", strings.TrimRight(line, "\n"))
		}
	}
}

// describeError returns the text of an error, followed by its traceback if the text
// does not end with it.
func describeError(err error) string {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) {
		return fmt.Sprintf("%v\n%s", err, strings.TrimRight(launch.Detail, "\n"))
	}
	return err.Error()
}
