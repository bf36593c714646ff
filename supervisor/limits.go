package supervisor

import (
	"context"
	"log/slog"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

const (
	// measurePeriod lets a worker that leaks 5 MB with each request leak some
	// dozens of MB, not hundreds, before it is seen.
	measurePeriod = 100 * time.Millisecond
	restPeriod    = time.Second // while no site wants to be measured
	overSamples   = 3           // in a row: one large answer is no leak
)

// watchLimits measures the workers of the sites that ask for it, and has those
// replaced that are over a limit.
func (s *Supervisor) watchLimits(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	before := map[pool.Worker]sighting{}
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		seen, period := map[pool.Worker]sighting{}, restPeriod
		for _, t := range s.all() {
			if c := t.config(); c.MemoryLimit > 0 || c.CPUTimeLimit > 0 {
				period = measurePeriod
				t.measure(c, before, seen)
			}
		}
		before = seen
		timer.Reset(period)
	}
}

// sighting is what was seen of a worker.
type sighting struct {
	over      int           // samples in a row that were over memory_limit
	fromStart bool          // none was not since its first request was answered
	cpu       time.Duration // what it had used when it was first seen
}

// measure looks at each worker once. before has what was seen of it, seen gets that
// and what is now.
func (t *site) measure(c *config.Site, before, seen map[pool.Worker]sighting) {
	for _, w := range t.pool.Status().Workers {
		if w.Worker == nil {
			continue
		}
		old, known := before[w.Worker]
		s := t.measureMemory(c, w, sighting{over: old.over, fromStart: !known || old.fromStart})
		if w.Requests == 0 {
			s.fromStart = true // as it is with its first request its successor will be
		}
		s.cpu = t.measureCPU(c, w, old.cpu, known)
		seen[w.Worker] = s
	}
}

// measureCPU has a worker replaced that is over cpu_time_limit. What its start has
// taken does not count before its first request: its successor's would be as much.
func (t *site) measureCPU(c *config.Site, w pool.WorkerStatus, start time.Duration, known bool) time.Duration {
	used, err := process.ReadCPUTime(w.Worker.PID())
	if err != nil { // it has ended
		return start
	}
	if !known {
		start = used
	}
	if w.Requests == 0 {
		used -= start
	}
	if c.CPUTimeLimit > 0 && used > c.CPUTimeLimit {
		t.recycle(w, pool.ReasonCPUTimeLimit, slog.Duration("cpu_time", used), slog.Duration("cpu_time_limit", c.CPUTimeLimit))
	}
	return start
}

// measureMemory adds a sample to what was seen of a worker, and has it replaced when
// it is over memory_limit for long enough.
func (t *site) measureMemory(c *config.Site, w pool.WorkerStatus, s sighting) sighting {
	limit := t.floor.limit(c.MemoryLimit)
	uss := usageOver(w.Worker.PID(), limit)
	if uss == 0 {
		return sighting{}
	}
	if s.over++; s.over != overSamples {
		return s
	}
	if t.floor.over(uss, s.fromStart) {
		t.log.Warn("memory_limit is less than a fresh worker holds", "worker", w.ID, "uss", uss, "memory_limit", c.MemoryLimit, "instead", t.floor.limit(c.MemoryLimit))
		return s
	}
	t.recycle(w, pool.ReasonMemoryLimit, slog.Int64("uss", uss), slog.Int64("memory_limit", limit))
	return s
}

// usageOver returns the USS of a process that has more than limit, else 0. The
// RSS, which is cheap, tells of most that they are far from it.
func usageOver(pid int, limit int64) int64 {
	if limit == 0 {
		return 0
	}
	if rss, err := process.ReadRSS(pid); err != nil || rss < limit/2 { // RSS is not exact
		return 0
	}
	m, _ := process.ReadMemory(pid) // it may just have ended
	if m.USS <= limit {
		return 0
	}
	return m.USS
}

func (t *site) recycle(w pool.WorkerStatus, reason pool.Reason, measured ...slog.Attr) {
	if t.pool.Recycle(w.Worker, reason) {
		attrs := append([]slog.Attr{slog.String("worker", w.ID), slog.Int("pid", w.Worker.PID()), slog.String("limit", string(reason))}, measured...)
		t.log.LogAttrs(context.Background(), slog.LevelWarn, "worker over a limit", attrs...)
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
	tasks := process.Limits{Tasks: t.tasksLimit()}
	if r := t.python(); r != nil {
		r.Limit(tasks)
	}
	t.tasks.limit(tasks)
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
