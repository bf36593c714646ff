// Package limits measures the workers of a site and tells which of them exceed
// memory_limit or cpu_time_limit, and are to be replaced. It does not touch them: the
// limits that the kernel enforces are set by package process.
package limits

import (
	"log/slog"
	"time"

	"github.com/multisite/multisite/worker/process"
)

const (
	// Period lets a worker that leaks 5 MB with each request leak some dozens of MB, not
	// hundreds, before it is seen.
	Period = 100 * time.Millisecond
	// samples is how many in a row must be over memory_limit: one large answer is no leak.
	samples = 3
)

// Limits are those of a site; 0 means none.
type Limits struct {
	Memory  int64 // bytes of USS
	CPUTime time.Duration
}

// None reports whether there is no limit.
func (l Limits) None() bool { return l == Limits{} }

// Worker is a running worker. Key is the same in each call, and different for each
// process; PID may be used again by the kernel.
type Worker struct {
	Key      any
	PID      int
	Requests int64 // how many it has answered
	Active   int   // how many it is answering
}

// Kind is the kind of an Exceeded.
type Kind int

// The kinds of Exceeded. TooLow means that memory_limit is less than every fresh worker
// takes: the worker is not replaced.
const (
	Memory Kind = iota
	CPUTime
	TooLow
)

// Exceeded is a worker that is over a limit. Attrs are what was measured, for the log.
type Exceeded struct {
	Worker Worker
	Kind   Kind
	Attrs  []slog.Attr
}

// Meter measures the workers of one site. Its zero value is ready for use. One
// goroutine calls Measure; Problem may be called by any.
type Meter struct {
	floor floor
	seen  map[any]sighting // by Worker.Key, from the last Measure
	usage usage            // nil: that of processes
}

// sighting is what was seen of a worker.
type sighting struct {
	over       int           // samples in a row that were over the memory limit
	sinceStart bool          // all samples since its first request were
	cpu        time.Duration // what it had used when it was first seen
}

// Problem returns that memory_limit is too low, and what would be right; "" if it is not.
func (m *Meter) Problem() string { return m.floor.String() }

// Measure looks at each worker once and returns those that exceed a limit.
func (m *Meter) Measure(l Limits, workers []Worker) (exceeded []Exceeded) {
	if l.None() {
		m.seen = nil
		return nil
	}
	if m.usage == nil {
		m.usage = processes{}
	}
	seen := map[any]sighting{}
	for _, w := range workers {
		old, known := m.seen[w.Key]
		s := sighting{over: old.over, sinceStart: !known || old.sinceStart}
		if e := m.measureMemory(l, w, &s); e != nil {
			exceeded = append(exceeded, *e)
		}
		if w.Requests == 0 {
			s.sinceStart = true // whatever it takes after its first request, its successor will take, too
		}
		if e := m.measureCPU(l, w, old.cpu, known, &s); e != nil {
			exceeded = append(exceeded, *e)
		}
		seen[w.Key] = s
	}
	m.seen = seen
	return exceeded
}

// measureMemory adds a sample to s, and returns w if enough samples are over the limit.
func (m *Meter) measureMemory(l Limits, w Worker, s *sighting) *Exceeded {
	limit := m.floor.limit(l.Memory)
	uss := m.usageOver(w.PID, limit)
	if uss == 0 {
		*s = sighting{}
		return nil
	}
	if s.over++; s.over != samples {
		return nil
	}
	if m.floor.exceeded(uss, s.sinceStart) {
		return &Exceeded{w, TooLow, []slog.Attr{slog.Int64("uss", uss), slog.Int64("memory_limit", l.Memory), slog.Int64("instead", m.floor.limit(l.Memory))}}
	}
	return &Exceeded{w, Memory, []slog.Attr{slog.Int64("uss", uss), slog.Int64("memory_limit", limit)}}
}

// usageOver returns the USS of a process if that is more than limit, otherwise 0. The
// RSS, which is cheap to read, shows for most processes that they are far below.
func (m *Meter) usageOver(pid int, limit int64) int64 {
	if limit == 0 {
		return 0
	}
	if rss, err := m.usage.RSS(pid); err != nil || rss < limit/2 { // RSS is not exact
		return 0
	}
	if uss := m.usage.USS(pid); uss > limit {
		return uss
	}
	return 0
}

// measureCPU returns w if it has used more than its time. What its start has used does
// not count before its first request: its successor would use as much.
func (m *Meter) measureCPU(l Limits, w Worker, start time.Duration, known bool, s *sighting) *Exceeded {
	s.cpu = start
	used, err := m.usage.CPUTime(w.PID)
	if err != nil { // it has exited
		return nil
	}
	if !known {
		s.cpu = used
	}
	if w.Requests == 0 {
		used -= s.cpu
	}
	if l.CPUTime == 0 || used <= l.CPUTime {
		return nil
	}
	return &Exceeded{w, CPUTime, []slog.Attr{slog.Duration("cpu_time", used), slog.Duration("cpu_time_limit", l.CPUTime)}}
}

// usage reads what a process uses.
type usage interface {
	RSS(pid int) (int64, error)
	USS(pid int) int64 // 0: it has exited
	CPUTime(pid int) (time.Duration, error)
}

// processes reads /proc.
type processes struct{}

func (processes) RSS(pid int) (int64, error)             { return process.ReadRSS(pid) }
func (processes) CPUTime(pid int) (time.Duration, error) { return process.ReadCPUTime(pid) }

func (processes) USS(pid int) int64 {
	m, _ := process.ReadMemory(pid) // it may just have exited
	return m.USS
}
