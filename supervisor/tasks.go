package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/runtimes"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
)

// newTasks returns the services and cron entries of a site. They start with it, end
// when its last worker has exited, and run with the settings that its workers run with:
// a reload that fails does not touch them, nor does it matter whether the site sleeps.
func newTasks(t *site, c *config.Site) *task.Set {
	return task.NewSet(t.taskSpec(c), task.SetOptions{
		Grace:   func() time.Duration { return t.config().ShutdownTimeout },
		Observe: t.observeTask,
	})
}

// taskSpec returns the tasks that c describes.
func (t *site) taskSpec(c *config.Site) task.Spec {
	spec := task.Spec{Start: func(id task.ID, command task.Command) (task.Process, error) {
		return t.startTask(c, command, t.taskID(id))
	}}
	for _, s := range c.Services {
		spec.Services = append(spec.Services, task.ServiceSpec{Name: s.Name, Command: task.Command(s.Command)})
	}
	for _, e := range c.Cron {
		spec.Jobs = append(spec.Jobs, task.JobSpec{Name: e.Name, Schedule: e.Schedule, Command: task.Command(e.Command)})
	}
	return spec
}

// taskID returns the name of a task in logs: "shop/service.mail".
func (t *site) taskID(id task.ID) string { return t.name + "/" + id.String() }

// startTask starts a command as the site's workers are started. Its output goes to the
// site's log.
func (t *site) startTask(c *config.Site, command task.Command, id string) (task.Process, error) {
	output, err := process.NewOutput(c.Account, func(line string) { t.output(id, line) })
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

// observeTask logs what happens to a service or a cron entry.
func (t *site) observeTask(which task.ID, e task.Event, exited task.Process) {
	kind, id := string(which.Kind), t.taskID(which)
	level := slog.LevelInfo
	attrs := []any{kind, id}
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
	case task.Exited:
		if e.Reason == task.ReasonCrash || e.Reason == task.ReasonDone && e.Exit != (process.Exit{}) {
			level = slog.LevelError
		}
		attrs = append(attrs, "pid", e.PID, "reason", e.Reason, "exit", e.Exit.String(), "age", e.Age)
	}
	what := fmt.Sprintf("%s %s", kind, e.Kind)
	t.log.Log(context.Background(), level, what, attrs...)
	if p, ok := exited.(*process.Process); ok {
		t.logLeftovers(kind, id, p)
	}
	if which.Kind == task.KindService || level > slog.LevelInfo { // a success each minute would fill the journal
		detail := e.String()
		if e.Err != nil {
			detail = e.Err.Error()
		}
		t.super.journal.Record(journal.Event{Time: e.Time, Site: t.name, Worker: id, PID: e.PID, Kind: what, Reason: e.Reason, Detail: detail})
	}
}

// taskStatus returns what the site's tasks are doing.
func taskStatus(tasks *task.Set) (services []status.Service, entries []status.Cron) {
	services, entries = []status.Service{}, []status.Cron{} // [] in JSON, not null
	spec, ss, js := tasks.Status()
	for i, s := range ss {
		st := status.Service{Name: spec.Services[i].Name, State: s.State, PID: s.PID, Restarts: s.Restarts, LastExit: s.LastExit}
		if st.PID != 0 {
			st.Memory = memoryOf(st.PID)
		}
		services = append(services, st)
	}
	for i, j := range js {
		c := spec.Jobs[i]
		entries = append(entries, status.Cron{
			Name: c.Name, Schedule: fmt.Sprint(c.Schedule), Next: j.Next, PID: j.PID, Runs: j.Runs, Skipped: j.Skipped, LastExit: j.LastExit,
		})
	}
	return services, entries
}
