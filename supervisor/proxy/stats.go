package proxy

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

// Stats counts a site's requests, for status. It outlives reloads.
type Stats struct {
	active   atomic.Int64
	withheld sync.Once // tells of the first header that was, see exchange.withhold

	mu sync.Mutex
	// mu protects all below
	total, errors int64
	began         time.Time     // of the first request
	idle          chan struct{} // closed when no request is active any more; nil unless somebody awaits that
	ring          []sample      // the last requests; grows to its size with them
	next          int
}

type sample struct {
	end  time.Duration // since began
	took time.Duration
}

// Counts are what Stats has counted.
type Counts struct {
	Total     int64
	Errors    int64 // answered with 500 or above
	PerSecond float64
	P50, P99  time.Duration // of the last 1024 requests
}

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

// Active is how many requests are not answered to their end, but for those that
// never left the Loop.
func (s *Stats) Active() int { return int(s.active.Load()) }

// AwaitIdle returns when no request is Active, or when ctx has ended.
func (s *Stats) AwaitIdle(ctx context.Context) {
	for {
		s.mu.Lock()
		if s.Active() == 0 {
			s.mu.Unlock()
			return
		}
		if s.idle == nil {
			s.idle = make(chan struct{})
		}
		idle := s.idle
		s.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// begin counts a request as active until end is called.
func (s *Stats) begin() { s.active.Add(1) }

func (s *Stats) end() {
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

// Restore goes on from what was counted before an upgrade.
func (s *Stats) Restore(total, errors int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.errors = total, errors
}

// Counts returns the numbers of now.
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
	if recent == samples { // the ring turned within the window
		window = max(now-oldest, time.Millisecond)
	}
	c.PerSecond = float64(recent) / window.Seconds()
	return c
}
