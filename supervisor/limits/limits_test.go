package limits

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// fake is what each process uses, by its number. One that is not there has exited.
type fake map[int]struct {
	uss, rss int64
	cpu      time.Duration
}

var errExited = errors.New("no such process")

func (f fake) RSS(pid int) (int64, error) {
	p, ok := f[pid]
	if !ok {
		return 0, errExited
	}
	return max(p.rss, p.uss), nil
}

func (f fake) USS(pid int) int64 { return f[pid].uss }

func (f fake) CPUTime(pid int) (time.Duration, error) {
	p, ok := f[pid]
	if !ok {
		return 0, errExited
	}
	return p.cpu, nil
}

// uses lets process 1 use memory and time.
func (f fake) uses(uss int64, cpu time.Duration) {
	p := f[1]
	p.uss, p.cpu = uss, cpu
	f[1] = p
}

// measure measures worker "a", which is process 1, n times, and returns what it exceeded.
func measure(m *Meter, l Limits, requests int64, n int) (kinds []Kind) {
	for range n {
		for _, e := range m.Measure(l, []Worker{{Key: "a", PID: 1, Requests: requests}}) {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func want(t *testing.T, what string, got []Kind, want ...Kind) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const limit = 100 * megabyte

func TestMeter_MemoryNeedsSamplesInARow(t *testing.T) {
	t.Parallel()
	f := fake{}
	m, l := &Meter{usage: f}, Limits{Memory: limit}
	f.uses(limit, 0)
	want(t, "at the limit", measure(m, l, 1, 10))
	f.uses(limit+1, 0)
	want(t, "over it, once less than it takes", measure(m, l, 2, samples-1))
	f.uses(limit, 0)
	want(t, "below it again", measure(m, l, 3, 1))
	f.uses(limit+1, 0)
	want(t, "over it", measure(m, l, 4, samples), Memory)
	want(t, "it is said once", measure(m, l, 5, 10))
}

// TestMeter_ExceededFromTheStart: workers that exceed the limit from their start show
// that it is too low; a worker that grew shows that it is not.
func TestMeter_ExceededFromTheStart(t *testing.T) {
	t.Parallel()
	f := fake{}
	m, l := &Meter{usage: f}, Limits{Memory: limit}
	f.uses(200*megabyte, 0)
	for n := range freshAllowed + 1 {
		kinds := []Kind{}
		for range samples {
			for _, e := range m.Measure(l, []Worker{{Key: n, PID: 1}}) {
				kinds = append(kinds, e.Kind)
			}
		}
		if n < freshAllowed {
			want(t, "a fresh worker", kinds, Memory)
		} else {
			want(t, "the third fresh worker", kinds, TooLow)
		}
	}
	if m.Problem() == "" {
		t.Error("it is not said that the limit is too low")
	}
	want(t, "below what holds instead", measure(m, l, 1, 2*samples))
	f.uses(400*megabyte, 0)
	want(t, "above what holds instead", measure(m, l, 1, samples), Memory)
}

func TestMeter_CPUTime(t *testing.T) {
	t.Parallel()
	f := fake{}
	m, l := &Meter{usage: f}, Limits{CPUTime: 10 * time.Second}
	f.uses(0, 8*time.Second) // its start has used this
	want(t, "first seen", measure(m, l, 0, 1))
	f.uses(0, 17*time.Second)
	want(t, "9 s after its start, before its first request", measure(m, l, 0, 1))
	f.uses(0, 19*time.Second)
	want(t, "11 s after its start", measure(m, l, 0, 1), CPUTime)
	f.uses(0, 10*time.Second)
	want(t, "at the limit, in all", measure(m, l, 1, 1))
	f.uses(0, 11*time.Second)
	want(t, "over it, in all", measure(m, l, 1, 1), CPUTime)
}

func TestMeter_AProcessThatHasExited(t *testing.T) {
	t.Parallel()
	m := &Meter{usage: fake{}}
	want(t, "it has exited", measure(m, Limits{Memory: 1, CPUTime: 1}, 0, 2*samples))
}

// TestMeter_AnotherWorker: a worker is not taken for an earlier one of the same number.
func TestMeter_AnotherWorker(t *testing.T) {
	t.Parallel()
	f := fake{}
	m, l := &Meter{usage: f}, Limits{Memory: limit}
	f.uses(limit+1, 0)
	measure(m, l, 1, samples-1)
	if got := m.Measure(l, []Worker{{Key: "b", PID: 1, Requests: 1}}); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if len(m.seen) != 1 {
		t.Errorf("it remembers %d workers, want the one that there is", len(m.seen))
	}
}

// TestMeter_WithoutLimits forgets what it has seen.
func TestMeter_WithoutLimits(t *testing.T) {
	t.Parallel()
	f := fake{}
	m := &Meter{usage: f}
	f.uses(limit+1, time.Hour)
	measure(m, Limits{Memory: limit}, 1, samples-1)
	want(t, "no limits", measure(m, Limits{}, 1, samples))
	if m.seen != nil {
		t.Errorf("it remembers %v", m.seen)
	}
	want(t, "it begins anew", measure(m, Limits{Memory: limit}, 1, samples-1))
}

// TestMeter_OfProcesses measures this one.
func TestMeter_OfProcesses(t *testing.T) {
	t.Parallel()
	m, self := &Meter{}, []Worker{{Key: "self", PID: os.Getpid(), Requests: 1}}
	var got []Kind
	for n := 0; n < samples || !slices.Contains(got, CPUTime) && n < 10_000; n++ { // the kernel counts in hundredths of a second
		for _, e := range m.Measure(Limits{Memory: 1000, CPUTime: 1}, self) {
			got = append(got, e.Kind)
			if len(e.Attrs) == 0 || e.Worker != self[0] {
				t.Errorf("got %+v", e)
			}
		}
	}
	if !slices.Contains(got, Memory) || !slices.Contains(got, CPUTime) {
		t.Errorf("a test exceeds %v, want a thousand bytes and a nanosecond", fmt.Sprint(got))
	}
}
