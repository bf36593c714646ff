package limits

import (
	"testing"
	"time"
)

// quiet is a site whose workers are the processes 1 to n, and a clock.
type quiet struct {
	idle    Idle
	now     time.Time
	memory  fake
	workers []Worker
}

// newQuiet returns a site whose workers have all answered and hold so many MB.
func newQuiet(mb ...int64) *quiet {
	q := &quiet{memory: fake{}, now: time.Now()}
	q.idle.usage = q.memory
	for i, held := range mb {
		q.hold(i+1, held)
		q.workers = append(q.workers, Worker{Key: i + 1, PID: i + 1, Requests: int64(10 - i)})
	}
	return q
}

func (q *quiet) hold(pid int, mb int64) {
	p := q.memory[pid]
	p.uss = mb * megabyte
	q.memory[pid] = p
}

// after lets minutes pass, in each of which the workers are looked at, and returns which
// processes were found.
func (q *quiet) after(minutes int) (found []int) {
	for range minutes {
		if g := q.idle.Find(q.now, q.workers); g != nil {
			found = append(found, g.Worker.PID)
		}
		q.now = q.now.Add(time.Minute)
	}
	return found
}

// replace puts a fresh worker in the place of process i.
func (q *quiet) replace(i int, mb int64) {
	pid := 100 + i
	q.hold(pid, mb)
	q.workers[i-1] = Worker{Key: pid, PID: pid}
}

func wantFound(t *testing.T, got []int, want ...int) {
	t.Helper()
	if len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestIdle_FindsTheLargestAfterTenMinutes(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8, 12)
	wantFound(t, q.after(10))
	wantFound(t, q.after(1), 3)
}

func TestIdle_KeepsTheOneUsedLast(t *testing.T) {
	t.Parallel()
	q := newQuiet(9)
	wantFound(t, q.after(100))
	q = newQuiet(9, 8)
	q.after(5)
	q.workers[1].Requests++ // now it is the last
	wantFound(t, q.after(30), 1)
}

func TestIdle_WaitsWhileItAnswers(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8, 7)
	for range 30 {
		for i := range q.workers {
			q.workers[i].Requests++
		}
		wantFound(t, q.after(5))
	}
}

// TestIdle_WaitsForALongRequest: a worker that sends a stream is not idle, and would cut it.
func TestIdle_WaitsForALongRequest(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8)
	q.workers[1].Active = 1
	wantFound(t, q.after(9))
	q = newQuiet(8, 9)
	q.workers[1].Active = 1
	q.workers[0].Requests++
	q.after(5)
	wantFound(t, q.after(30), 1)
	q.workers[0].Active = 1
	wantFound(t, q.after(100))
}

// TestIdle_IsSlow: no more replacements in an hour than there are workers, also when each
// one is used again at once.
func TestIdle_IsSlow(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8, 7, 6)
	var all int
	for range 4 * 60 {
		for _, pid := range q.after(1) {
			all++
			for i, w := range q.workers {
				if w.PID == pid {
					q.replace(i+1, 2)
					q.hold(q.workers[i].PID, 9)
					q.workers[i].Requests = 5
				}
			}
		}
	}
	if all == 0 || all > 4*4 {
		t.Errorf("%d workers of 4 were replaced in 4 hours, want at most 16", all)
	}
}

func TestIdle_LearnsThatItReturnsLittle(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8, 8)
	wantFound(t, q.after(11), 2)
	q.replace(2, 7) // the fresh one holds nearly as much
	wantFound(t, q.after(300))
	if got := q.idle.Returned(); got != 1*megabyte {
		t.Errorf("returned %d, want 1 MB", got)
	}
	if got := q.idle.Returned(); got != 0 {
		t.Errorf("returned %d when asked again, want 0", got)
	}
}

// TestIdle_CountsNothingForAWorkerThatStayed: the next fresh worker is no successor.
func TestIdle_CountsNothingForAWorkerThatStayed(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 8, 8)
	wantFound(t, q.after(11), 2)
	q.idle.Missed()
	q.replace(2, 2)
	q.after(1)
	if got := q.idle.Returned(); got != 0 {
		t.Errorf("returned %d, want 0", got)
	}
}

func TestIdle_LeavesFreshWorkersAlone(t *testing.T) {
	t.Parallel()
	q := newQuiet(9, 9, 9)
	for i := range q.workers {
		q.workers[i].Requests = 0
	}
	wantFound(t, q.after(100))
}
