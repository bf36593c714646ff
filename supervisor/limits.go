package supervisor

import (
	"context"
	"log/slog"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// limitsPeriod is how often it is looked for sites with limits while there are none.
const limitsPeriod = time.Second

// watchLimits measures the workers of sites with limits, and has those replaced that
// exceed one, until ctx ends.
func (s *Supervisor) watchLimits(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		period := limitsPeriod
		for _, t := range s.sites.all() {
			c := t.config()
			if l := (limits.Limits{Memory: c.MemoryLimit, CPUTime: c.CPUTimeLimit}); !l.None() {
				period = limits.Period
				t.measure(l)
			} else {
				t.meter.Measure(l, nil) // forgets
			}
		}
		timer.Reset(period)
	}
}

// measure measures the site's workers, and has those replaced that exceed a limit.
func (t *site) measure(l limits.Limits) {
	var workers []limits.Worker
	ids := map[any]string{}
	for _, w := range t.pool.Status().Workers {
		if w.Worker != nil {
			workers = append(workers, limits.Worker{Key: w.Worker, PID: w.Worker.PID(), Requests: w.Requests})
			ids[w.Worker] = w.ID
		}
	}
	for _, e := range t.meter.Measure(l, workers) {
		worker, message := slog.String("worker", ids[e.Worker.Key]), "memory_limit is less than a fresh worker holds"
		attrs := append([]slog.Attr{worker}, e.Attrs...)
		if e.Kind != limits.TooLow {
			reason := pool.ReasonMemoryLimit
			if e.Kind == limits.CPUTime {
				reason = pool.ReasonCPUTimeLimit
			}
			if !t.pool.Recycle(e.Worker.Key.(pool.Worker), reason) {
				continue
			}
			message = "worker over a limit"
			attrs = append([]slog.Attr{worker, slog.Int("pid", e.Worker.PID), slog.String("limit", string(reason))}, e.Attrs...)
		}
		t.log.LogAttrs(context.Background(), slog.LevelWarn, message, attrs...)
	}
}

// limit sets what a worker may use, as c says.
func (t *site) limit(c *config.Site, p *process.Process) error {
	l := process.Limits{Memory: c.MemoryLimitHard, Tasks: c.TasksLimit, Priority: c.CPUPriority}
	if l.Memory > 0 {
		l.Cgroups = t.super.controlGroups()
	}
	return p.Limit(l)
}

// limitAll is limit for the workers that run already. The limit of tasks is that of
// all processes of the site.
func (t *site) limitAll() {
	tasks := process.Limits{Tasks: t.config().TasksLimit}
	if r := t.python(); r != nil {
		r.Limit(tasks)
	}
	for which, p := range t.tasks.Processes() {
		if err := p.(*process.Process).Limit(tasks); err != nil {
			t.log.Warn("a limit will hold for its next process only", "task", t.taskID(which), "error", err)
		}
	}
	for _, w := range t.pool.Status().Workers {
		if one, ok := w.Worker.(worker); ok {
			t.limitAgain(w.ID, one)
		}
	}
}

func (t *site) limitAgain(id string, w worker) {
	if err := t.limit(t.config(), w.OS()); err != nil {
		t.log.Warn("a limit will hold for the worker's successor only", "worker", id, "error", err)
	}
}

// controlGroups returns where hard memory limits are set; nil means RLIMIT_DATA.
// Which one is found out at the start, or with the first site that has such a limit.
func (s *Supervisor) controlGroups() *process.Cgroups {
	s.groupsOnce.Do(func() {
		var err error
		if s.groups, err = process.OpenCgroups(); err != nil {
			s.log.Info("memory_limit_hard is set by RLIMIT_DATA", "reason", err)
		}
	})
	return s.groups
}
