package supervisor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/pool"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/process"
)

// samplePeriod is how often the memory of sites is put into the journal.
const samplePeriod = time.Minute

// sampleMemory puts the memory of every site that has processes into the journal, and has
// idle workers replaced that hold too much, until ctx ends.
func (s *Supervisor) sampleMemory(ctx context.Context) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	before := map[string]front.Counts{}
	for _, t := range s.sites.all() { // after an upgrade, requests of before are not those of this minute
		before[t.name] = t.stats.Counts()
	}
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, t := range s.sites.all() {
			t.replaceIdle(time.Now())
			st, counts := t.status(&look{}), t.stats.Counts()
			s.recordPoint(st, counts, before[t.name])
			before[t.name] = counts
			if st.Memory.PSS == 0 { // samples of sleeping sites would displace the others
				continue
			}
			s.journal.RecordSample(journal.Sample{
				Site: t.name, Workers: len(st.Workers),
				PSS: st.Memory.PSS, USS: st.Memory.USS, RSS: st.Memory.RSS, ZygotePSS: st.Memory.ZygotePSS,
			})
		}
	}
}

// limitsPeriod is how often sites are looked at for limits while none has any.
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
			l := limits.Limits{Memory: c.MemoryLimit, CPUTime: c.CPUTimeLimit}
			if !l.None() {
				period = limits.Period
			}
			t.measure(l)
		}
		timer.Reset(period)
	}
}

// measure measures the site's workers, and has those replaced that exceed a limit.
func (t *site) measure(l limits.Limits) {
	if l.None() {
		t.meter.Measure(l, nil) // forgets what it has seen
		return
	}
	var workers []limits.Worker
	ids := map[any]string{}
	for _, w := range t.pool.Status().Workers {
		if w.Worker != nil {
			workers = append(workers, limits.Worker{Key: w.Worker, PID: w.Worker.PID(), Requests: w.Requests})
			ids[w.Worker] = w.ID
		}
	}
	for _, e := range t.meter.Measure(l, workers) {
		t.exceeds(ids[e.Worker.Key], e)
	}
}

// exceeds has a worker replaced that exceeds a limit, and logs what was measured.
func (t *site) exceeds(id string, e limits.Exceeded) {
	attrs := []slog.Attr{slog.String("worker", id)}
	message := "memory_limit is less than a fresh worker holds"
	if e.Kind != limits.TooLow {
		reason := pool.ReasonMemoryLimit
		if e.Kind == limits.CPUTime {
			reason = pool.ReasonCPUTimeLimit
		}
		if !t.pool.Recycle(e.Worker.Key.(pool.Worker), reason) {
			return
		}
		message = "worker over a limit"
		attrs = append(attrs, slog.Int("pid", e.Worker.PID), slog.String("limit", string(reason)))
	}
	t.log.LogAttrs(context.Background(), slog.LevelWarn, message, append(attrs, e.Attrs...)...)
}

// limit sets the limits of a worker that the kernel enforces, as c says.
func (t *site) limit(c *config.Site, p *process.Process) error {
	l := process.Limits{Memory: c.MemoryLimitHard, Tasks: c.TasksLimit, Priority: c.CPUPriority}
	if l.Memory > 0 {
		l.Cgroups = t.super.cgroups.get(t.super.log)
	}
	return p.Limit(l)
}

// limitAll sets the limits of all processes that run already. That of tasks is one for
// all processes of the site.
func (t *site) limitAll() {
	tasks := process.Limits{Tasks: t.config().TasksLimit}
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
		t.log.Warn("a limit cannot be applied to the worker; its successor gets it", "worker", id, "error", err)
	}
}

// cgroups are the control groups in which memory_limit_hard is set. They are opened when
// they are needed first; at the start if a site has such a limit then.
type cgroups struct {
	once   sync.Once
	groups *process.Cgroups // nil: there are none, and the limit is set by RLIMIT_DATA
}

func (g *cgroups) get(log *slog.Logger) *process.Cgroups {
	g.once.Do(func() {
		var err error
		if g.groups, err = process.OpenCgroups(); err != nil {
			log.Info("memory_limit_hard is set by RLIMIT_DATA", "reason", err)
		}
	})
	return g.groups
}
