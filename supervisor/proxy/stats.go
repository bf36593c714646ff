package proxy

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	samples    = 1024
	rateWindow = 10 * time.Second
)

// Stats counts a site's requests, for status. It outlives reloads.
type Stats struct {
	mu sync.Mutex
	// mu protects all below
	total, errors int64
	ring          [samples]sample
	next          int
}

type sample struct {
	end  time.Time
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
	s.ring[s.next] = sample{end: now, took: took}
	s.next = (s.next + 1) % samples
}

// Counts returns the numbers of now.
func (s *Stats) Counts() Counts {
	s.mu.Lock()
	ring, c := s.ring, Counts{Total: s.total, Errors: s.errors}
	s.mu.Unlock()
	now := time.Now()
	var took []time.Duration
	recent, oldest := 0, now
	for _, v := range ring {
		if v.end.IsZero() {
			continue
		}
		took = append(took, v.took)
		if now.Sub(v.end) < rateWindow {
			recent++
			if v.end.Before(oldest) {
				oldest = v.end
			}
		}
	}
	if len(took) == 0 {
		return c
	}
	slices.Sort(took)
	c.P50, c.P99 = took[len(took)/2], took[len(took)*99/100]
	window := rateWindow
	if recent == samples { // the ring turned within the window
		window = max(now.Sub(oldest), time.Millisecond)
	}
	c.PerSecond = float64(recent) / window.Seconds()
	return c
}
