package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/runtimes"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
)

// tasks are the services and cron entries of a site. They start with it, end when its
// last worker has exited, and run with the settings that its workers run with: a reload
// that fails does not touch them, nor does it matter whether the site sleeps.
type tasks struct {
	*task.Set
	site *site
}

func newTasks(t *site, c *config.Site) tasks {
	k := tasks{site: t}
	k.Set = task.NewSet(k.spec(c), task.SetOptions{Observe: k.observe})
	return k
}

// apply changes the tasks to those that c describes. It waits for processes that finish
// their work, but not longer than shutdown_timeout: their work may take hours, and until
// this returns no other reload begins.
func (k tasks) apply(ctx context.Context, c *config.Site, reason pool.Reason, restartAll bool) {
	ctx, cancel := context.WithTimeout(ctx, c.ShutdownTimeout)
	defer cancel()
	k.Apply(ctx, k.spec(c), string(reason), restartAll)
}

// awaitEnd waits as apply does until the site, which was removed, is done.
func (k tasks) awaitEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, k.site.config().ShutdownTimeout)
	defer cancel()
	select {
	case <-k.site.done:
	case <-ctx.Done():
	}
}

// spec returns the tasks that c describes.
func (k tasks) spec(c *config.Site) task.Spec {
	spec := task.Spec{Start: func(id task.ID, command task.Command) (task.Process, error) {
		return k.start(c, command, k.name(id))
	}}
	for _, s := range c.Services {
		spec.Services = append(spec.Services, task.ServiceSpec{Name: s.Name, Command: task.Command(s.Command), Stop: stopOf(c, s.Stop), Overlap: s.Overlap})
	}
	for _, e := range c.Cron {
		spec.Jobs = append(spec.Jobs, task.JobSpec{Name: e.Name, Schedule: e.Schedule, Command: task.Command(e.Command), Stop: stopOf(c, e.Stop)})
	}
	return spec
}

// stopOf returns how a task of a site is stopped.
func stopOf(c *config.Site, s config.Stop) task.Stop {
	return task.Stop{Timeout: cmp.Or(s.Timeout, c.GracefulTimeout), Signal: s.Signal}
}

// name returns the name of a task in logs: "shop/service.mail".
func (k tasks) name(id task.ID) string { return k.site.name + "/" + id.String() }

// start starts a command as the site's workers are started. Its output goes to the
// site's log.
func (k tasks) start(c *config.Site, command task.Command, name string) (task.Process, error) {
	t := k.site
	output, err := process.NewOutput(c.Account, func(line string) { t.log.output(name, line) })
	if err != nil {
		return nil, err
	}
	current, _ := t.launchedFrom()
	at := current.paths
	var pythonPath []string
	if current.python != nil {
		pythonPath = current.python.PythonPath()
	}
	p, err := process.Start(process.Command{
		Path:   at.At(command.Path),
		Args:   command.Args,
		Env:    runtimes.Marked(runtimes.TaskEnvironment(c, at.At, pythonPath), t.super.mark),
		Dir:    at.At(c.Home),
		Output: output,

		Account: c.Account,
		Umask:   c.Umask,
		Tasks:   t.config().TasksLimit,
	})
	if err != nil {
		return nil, err // a nil process in the interface would not be nil
	}
	return p, nil
}

// observe logs what happens to a service or a cron entry.
func (k tasks) observe(which task.ID, e task.Event) {
	t, kind, name := k.site, string(which.Kind), k.name(which)
	level := slog.LevelInfo
	attrs := []any{kind, name}
	switch e.Kind {
	case task.Started:
		attrs = append(attrs, "pid", e.PID)
		if which.Kind == task.KindJob {
			level = slog.LevelDebug // the line about its exit is enough
		}
	case task.Failed:
		level = slog.LevelError
		attrs = append(attrs, "error", e.Err)
	case task.Skipped:
		level = slog.LevelWarn
		attrs = append(attrs, "reason", e.Err)
	case task.Stopping:
		attrs = append(attrs, "pid", e.PID, "reason", e.Reason, "signal", unix.SignalName(e.Stop.Signal), "stop_timeout", e.Stop.Timeout)
	case task.Exited:
		attrs = append(attrs, "pid", e.PID, "reason", e.Reason, "exit", e.Exit.String(), "age", e.Age)
		switch {
		case e.Reason == task.ReasonCrash || e.Reason == task.ReasonDone && e.Exit != (process.Exit{}):
			level = slog.LevelError
		case e.Overran > 0:
			level = slog.LevelWarn
			attrs = append(attrs, "limit", "stop_timeout")
		}
	}
	if level >= slog.LevelError {
		t.happened(e.Time, kind+" failed")
	}
	what := fmt.Sprintf("%s %s", kind, e.Kind)
	t.log.Log(context.Background(), level, what, attrs...)
	if p, ok := e.Process.(*process.Process); ok {
		t.log.leftovers(kind, name, p)
	}
	if which.Kind == task.KindService || level > slog.LevelInfo { // a success each minute would fill the journal
		detail := e.String()
		if e.Err != nil {
			detail = e.Err.Error()
		}
		t.super.journal.Record(journal.Event{Time: e.Time, Site: t.name, Worker: name, PID: e.PID, Kind: what, Reason: e.Reason, Detail: detail})
	}
}

// limit sets the limits of those that run.
func (k tasks) limit(l process.Limits) {
	for which, ps := range k.Processes() {
		for _, p := range ps {
			if err := p.(*process.Process).Limit(l); err != nil {
				k.site.log.Warn("a limit cannot be applied to the process; the next one gets it", "task", k.name(which), "error", err)
			}
		}
	}
}

// status returns what the tasks are doing.
func (k tasks) status(l *look) (services []status.Service, entries []status.Cron) {
	services, entries = []status.Service{}, []status.Cron{} // [] in JSON, not null
	ss, js := k.Status()
	for _, s := range ss {
		st := status.Service{Name: s.Name, State: s.State, PID: s.PID, StopBy: timeOrNil(s.StopBy), Restarts: s.Restarts, Looping: s.Looping, LastExit: s.LastExit, Memory: memory(l.memory(s.PID))}
		if s.Old.PID != 0 {
			st.Old = &status.OldService{PID: s.Old.PID, StopBy: s.Old.StopBy.UTC(), Memory: memory(l.memory(s.Old.PID))}
		}
		services = append(services, st)
	}
	for _, j := range js {
		entries = append(entries, status.Cron{
			Name: j.Name, Schedule: fmt.Sprint(j.Schedule), Next: j.Next, PID: j.PID, StopBy: timeOrNil(j.StopBy), Runs: j.Runs, Skipped: j.Skipped, Memory: memory(l.memory(j.PID)), LastExit: j.LastExit,
		})
	}
	return services, entries
}

func timeOrNil(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
