package site

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/latency"
)

// Stats counts a site's requests, for status. It outlives reloads. The zero value is ready
// to use, and counts from its first request on; one of NewStats from the moment it is made.
type Stats struct {
	active   atomic.Int64 // requests under way
	withheld sync.Once    // has warned of a header that was not passed on

	mu sync.Mutex
	// mu protects all below
	total, errors int64
	born          time.Time     // since when it counts; zero: since the first request
	recent        *window       // nil before the first request
	idle          chan struct{} // closed when no request is active; nil unless AwaitIdle waits
	classes       [5]int64      // answers by the first digit of their status, less one
	took, queued  latency.Histogram
}

// Counts are what Stats has counted.
type Counts struct {
	Total  int64
	Errors int64 // answered with 500 or above

	PerSecond float64       // in the last 60 to 70 seconds
	P50, P99  time.Duration // of these, to 3%; 0 if there were none
	LastHour  int64         // errors in the last hour
}

// Measured is what is exported of a site's requests as metrics. As JSON it goes from one
// program to the next.
type Measured struct {
	Classes [5]int64       `json:"classes"` // answers by the first digit of their status, less one
	Took    latency.Counts `json:"took"`
	Queued  latency.Counts `json:"queued"` // how long those waited that got a worker
}

// NewStats returns a Stats that counts from now on.
func NewStats() *Stats { return &Stats{born: time.Now()} }

// Begin counts a request. End is called when its client has taken the answer.
func (s *Stats) Begin() { s.active.Add(1) }

// End undoes Begin.
func (s *Stats) End() {
	if s.active.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// Active returns how many requests are under way, also those that need no worker or have
// left theirs. One that the loop detaches is not counted for a moment.
func (s *Stats) Active() int { return int(s.active.Load()) }

// AwaitIdle returns when no request is Active, or when ctx has ended.
func (s *Stats) AwaitIdle(ctx context.Context) {
	for {
		idle := s.untilIdle()
		if idle == nil {
			return
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// untilIdle returns a channel that End closes, or nil if no request is active.
func (s *Stats) untilIdle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Active() == 0 {
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	return s.idle
}

// OnceWithheld calls warn the first time that a header of an answer was not passed on.
func (s *Stats) OnceWithheld(warn func()) { s.withheld.Do(warn) }

// record counts an answered request.
func (s *Stats) record(e *Entry) {
	now, took, status := time.Now(), e.Took, e.Status
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.classes[min(max(status/100, 1), len(s.classes))-1]++
	s.took.Add(took)
	if e.Worker != "" {
		s.queued.Add(e.Queue)
	}
	if status >= http.StatusInternalServerError {
		s.errors++
	}
	if s.born.IsZero() {
		s.born = now
	}
	if s.recent == nil {
		s.recent = &window{}
	}
	s.recent.record(now.Sub(s.born), took, status >= http.StatusInternalServerError)
}

// Restore sets the counters to what was counted before an upgrade.
func (s *Stats) Restore(total, errors int64, m Measured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.errors, s.classes = total, errors, m.Classes
	s.took.Restore(m.Took)
	s.queued.Restore(m.Queued)
}

// Measured returns what is exported as metrics.
func (s *Stats) Measured() Measured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Measured{Classes: s.classes, Took: s.took.Counts(), Queued: s.queued.Counts()}
}

// Counts returns the current numbers.
func (s *Stats) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Counts{Total: s.total, Errors: s.errors}
	if s.recent != nil {
		c.PerSecond, c.P50, c.P99, c.LastHour = s.recent.counts(time.Since(s.born))
	}
	return c
}
