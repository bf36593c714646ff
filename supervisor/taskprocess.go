package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
)

func (k *tasks) serviceOptions(name string) task.Options {
	return k.options("service", name, func(c *config.Site) config.Command {
		s, _ := serviceOf(c, name)
		return s.Command
	})
}

func (k *tasks) cronOptions(name string) task.Options {
	return k.options("cron", name, func(c *config.Site) config.Command {
		e, _ := cronOf(c, name)
		return e.Command
	})
}

func (k *tasks) options(kind, name string, command func(*config.Site) config.Command) task.Options {
	t := k.site
	id := t.name + "/" + kind + "." + name
	return task.Options{
		Start: func() (task.Process, error) {
			c, _, _ := k.now()
			return t.startTask(c, command(c), id)
		},
		Grace:   func() time.Duration { return t.config().ShutdownTimeout },
		Observe: func(e task.Event) { t.observeTask(kind, id, e) },
	}
}

// startTask starts a command as the site's workers are started. What it writes
// goes to the site's log.
func (t *site) startTask(c *config.Site, command config.Command, id string) (task.Process, error) {
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
		Env:    t.marked(taskEnvironment(c, at, pythonPath)),
		Dir:    at.At(c.Home),
		Output: output,

		Account: c.Account,
		Umask:   c.Umask,
		Tasks:   t.tasksLimit(),
	})
	if err != nil {
		return nil, err // a nil process in the interface would not be nil
	}
	t.tasks.note(id, p)
	return p, nil
}

// taskEnvironment is that of the site's workers, and what a worker of a Python
// site is told otherwise: its interpreter, its path and its settings.
func taskEnvironment(c *config.Site, at code.Paths, pythonPath []string) []string {
	env := environment(c)
	if c.Kind != config.WSGI {
		return env
	}
	first := func(name string, dirs ...string) {
		i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if i < 0 {
			env = append(env, name+"="+strings.Join(dirs, ":"))
			return
		}
		env[i] = name + "=" + strings.Join(append(dirs, strings.TrimPrefix(env[i], name+"=")), ":")
	}
	first("PATH", filepath.Dir(at.At(c.Python)))
	first("PYTHONPATH", append(pythonPath, at.At(c.Home))...)
	if c.Settings != "" {
		env = append(env, "DJANGO_SETTINGS_MODULE="+c.Settings)
	}
	return append(env, "PYTHONUNBUFFERED=1") // what it prints is in the log at once
}

// observeTask logs what happens to a service or a cron entry.
func (t *site) observeTask(kind, id string, e task.Event) {
	level := slog.LevelInfo
	attrs := []any{kind, id}
	switch e.Kind {
	case task.Started:
		attrs = append(attrs, "pid", e.PID)
		if kind == "cron" {
			level = slog.LevelDebug // its end says it all
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
	if e.Kind == task.Exited {
		t.logCompanions(kind, id, t.tasks.ended(id, e.PID))
	}
	if kind == "service" || level > slog.LevelInfo { // a line a minute that all is well would fill the journal
		detail := e.String()
		if e.Err != nil {
			detail = e.Err.Error()
		}
		t.super.journal.Record(journal.Event{Time: e.Time, Site: t.name, Worker: id, PID: e.PID, Kind: what, Reason: e.Reason, Detail: detail})
	}
}

func (k *tasks) status() (services []status.Service, entries []status.Cron) {
	c, running, jobs := k.now()
	services, entries = []status.Service{}, []status.Cron{} // [] in JSON, not null
	for _, s := range c.Services {
		st := status.Service{Name: s.Name, State: "stopped"}
		if r, ok := running[s.Name]; ok {
			now := r.Status()
			st.State, st.PID, st.Restarts, st.LastExit = now.State, now.PID, now.Restarts, now.LastExit
		}
		if st.PID != 0 {
			st.Memory = memoryOf(st.PID)
		}
		services = append(services, st)
	}
	for _, e := range c.Cron {
		st := status.Cron{Name: e.Name, Schedule: e.Schedule.String()}
		if r, ok := jobs[e.Name]; ok {
			now := r.Status()
			st.Next, st.PID, st.Runs, st.Skipped, st.LastExit = now.Next, now.PID, now.Runs, now.Skipped, now.LastExit
		}
		entries = append(entries, st)
	}
	return services, entries
}
