package site

import (
	"math/bits"
	"time"
)

const (
	slotTime = 10 * time.Second
	// slotsShown whole slots and the one that runs are what Counts tells of: a minute, and
	// up to ten seconds more.
	slotsShown = 6
	hour       = 60 // minutes in which errors are counted
)

// window counts the requests of the last minute or so, and the errors of the last hour. It
// takes 16 KB however many there are. A place is named by its time since Stats.born, and
// emptied when it is used for a later one.
type window struct {
	slots  [slotsShown + 1]slot
	errors [hour + 1]minute
}

// slot is the requests of ten seconds.
type slot struct {
	number   int64
	requests int64
	took     histogram
}

// minute is the errors of a minute.
type minute struct{ number, errors int64 }

// record counts a request that has ended at a time since Stats.born.
func (w *window) record(at, took time.Duration, failed bool) {
	n := int64(at / slotTime)
	s := &w.slots[n%int64(len(w.slots))]
	if s.number != n {
		*s = slot{number: n}
	}
	s.requests++
	s.took.add(took)
	if !failed {
		return
	}
	n = int64(at / time.Minute)
	m := &w.errors[n%int64(len(w.errors))]
	if m.number != n {
		*m = minute{number: n}
	}
	m.errors++
}

// counts returns how many requests there were a second, how long they took, and how many
// have failed, before a time since Stats.born.
func (w *window) counts(at time.Duration) (perSecond float64, p50, p99 time.Duration, errors int64) {
	now := int64(at / slotTime)
	first := max(now-slotsShown, 0)
	var requests int64
	var took histogram
	for i := range w.slots {
		if s := &w.slots[i]; s.number >= first && s.requests > 0 {
			requests += s.requests
			took.merge(&s.took)
		}
	}
	long := max(at-time.Duration(first)*slotTime, time.Second)
	for _, m := range w.errors {
		if m.number >= int64(at/time.Minute)-hour {
			errors += m.errors
		}
	}
	return float64(requests) / long.Seconds(), took.percentile(requests, 50), took.percentile(requests, 99), errors
}

const (
	steps   = 16 // of each power of two
	doubles = 32 // powers of two after the first steps microseconds: up to 19 hours
)

// histogram counts times in steps that grow with them, so that what it says is true to 3%.
type histogram [steps * (doubles + 1)]uint32

func (h *histogram) add(d time.Duration) {
	v := uint64(max(d, 0) / time.Microsecond)
	shift := max(bits.Len64(v)-5, 0) // v>>shift is below 2*steps
	h[min(shift*steps+int(v>>shift), len(h)-1)]++
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// percentile returns the time below which p percent of n times are; 0 if there are none.
func (h *histogram) percentile(n, p int64) time.Duration {
	left := n * p / 100
	for i, count := range h {
		if left < int64(count) {
			return step(i)
		}
		left -= int64(count)
	}
	return 0
}

// step returns the time in the middle of a step.
func step(i int) time.Duration {
	shift := max(i/steps-1, 0)
	return time.Duration(2*(i-shift*steps)+1) * time.Microsecond << shift / 2
}
