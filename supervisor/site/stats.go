package site

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	samples    = 1024
	rateWindow = 10 * time.Second
)

// Stats counts a site's requests, for status. The zero value is ready to use. It
// outlives reloads.
type Stats struct {
	active   atomic.Int64 // requests under way
	withheld sync.Once    // has warned of a header that was not passed on

	mu sync.Mutex
	// mu protects all below
	total, errors int64
	began         time.Time     // when the first request was recorded; zero: none was
	ring          []sample      // the last requests; grows up to samples, then is overwritten
	next          int           // index in a full ring of the oldest, to be overwritten next
	idle          chan struct{} // closed when no request is active; nil unless AwaitIdle waits
}

// sample is one answered request.
type sample struct {
	end  time.Duration // since Stats.began
	took time.Duration
}

// Counts are what Stats has counted.
type Counts struct {
	Total     int64
	Errors    int64 // answered with 500 or above
	PerSecond float64
	P50, P99  time.Duration // of the last 1024 requests
}

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
func (s *Stats) record(took time.Duration, status int) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	if status >= http.StatusInternalServerError {
		s.errors++
	}
	if s.began.IsZero() {
		s.began = now
	}
	one := sample{end: now.Sub(s.began), took: took}
	if len(s.ring) < samples {
		s.ring = append(s.ring, one)
		return
	}
	s.ring[s.next] = one
	s.next = (s.next + 1) % samples
}

// Restore sets the counters to what was counted before an upgrade.
func (s *Stats) Restore(total, errors int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.errors = total, errors
}

// Counts returns the current numbers.
func (s *Stats) Counts() Counts {
	s.mu.Lock()
	ring, c, now := slices.Clone(s.ring), Counts{Total: s.total, Errors: s.errors}, time.Since(s.began)
	s.mu.Unlock()
	if len(ring) == 0 {
		return c
	}
	took := make([]time.Duration, len(ring))
	recent, oldest := 0, now
	for i, v := range ring {
		took[i] = v.took
		if now-v.end < rateWindow {
			recent++
			oldest = min(oldest, v.end)
		}
	}
	slices.Sort(took)
	c.P50, c.P99 = took[len(took)/2], took[len(took)*99/100]
	window := rateWindow
	if recent == samples { // the ring was overwritten within the window
		window = max(now-oldest, time.Millisecond)
	}
	c.PerSecond = float64(recent) / window.Seconds()
	return c
}
