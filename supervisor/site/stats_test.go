package site

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// near reports whether got is want to the 3% of a histogram.
func near(got, want time.Duration) bool { return (got - want).Abs() <= want/30+time.Microsecond }

func TestStats_Counts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewStats()
		if got := s.Counts(); got != (Counts{}) {
			t.Errorf("got %+v of nothing", got)
		}
		<-time.After(time.Hour)
		for i := range 100 {
			status := 200
			if i < 3 {
				status = []int{499, 500, 503}[i]
			}
			s.record(&Entry{Took: time.Duration(100-i) * time.Millisecond, Status: status})
		}
		<-time.After(9 * time.Second)
		got := s.Counts()
		if got.Total != 100 || got.Errors != 2 || got.LastHour != 2 || !near(got.P50, 51*time.Millisecond) || !near(got.P99, 100*time.Millisecond) {
			t.Errorf("got %+v", got)
		}
		if want := 100 / 69.0; got.PerSecond != want { // six slots of ten seconds, and nine of the seventh
			t.Errorf("got %v a second, want %v: the site is an hour old", got.PerSecond, want)
		}
		<-time.After(time.Minute)
		if got := s.Counts(); got.PerSecond == 0 || !near(got.P50, 51*time.Millisecond) {
			t.Errorf("got %+v after 69 seconds", got)
		}
		<-time.After(time.Second)
		if got, want := s.Counts(), (Counts{Total: 100, Errors: 2, LastHour: 2}); got != want {
			t.Errorf("got %+v, want %+v: a minute ago is too long", got, want)
		}
		<-time.After(time.Hour)
		if got, want := s.Counts(), (Counts{Total: 100, Errors: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestStats_Young: what began three seconds ago is not divided by a minute.
func TestStats_Young(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewStats()
		for range 60 {
			<-time.After(time.Second / 20)
			s.record(&Entry{Status: 200})
		}
		if got := s.Counts().PerSecond; got != 20 {
			t.Errorf("got %v a second, want 20", got)
		}
	})
}

// TestStats_Load: thousands of requests a second for minutes are those of the last minute
// all the same: the slow ones before it are forgotten.
func TestStats_Load(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewStats()
		for i := range 5 * 60 * 100 {
			took := time.Second
			if i >= 3*60*100 {
				took = time.Duration(1+i%1000) * time.Microsecond
			}
			for range 40 {
				s.record(&Entry{Took: took, Status: 200})
			}
			<-time.After(time.Second / 100)
		}
		got := s.Counts()
		if got.PerSecond < 3950 || got.PerSecond > 4050 || !near(got.P50, 500*time.Microsecond) || !near(got.P99, 990*time.Microsecond) {
			t.Errorf("got %+v", got)
		}
	})
}

// TestHistogram: each time comes back to 3%, also one that is too long for any step.
func TestHistogram(t *testing.T) {
	t.Parallel()
	for d := time.Duration(0); d < 10*time.Hour; d += d/7 + time.Microsecond {
		var h histogram
		h.add(d)
		if got := h.percentile(1, 50); !near(got, d) {
			t.Fatalf("%v became %v", d, got)
		}
	}
	var h histogram
	h.add(1000 * time.Hour)
	h.add(-1)
	if got := h.percentile(2, 99); got < 10*time.Hour {
		t.Errorf("1000 h became %v", got)
	}
}

func TestStats_AwaitIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Stats
		s.AwaitIdle(t.Context()) // no request is active
		s.Begin()
		s.Begin()
		idle := make(chan struct{})
		go func() {
			defer close(idle)
			s.AwaitIdle(t.Context())
		}()
		synctest.Wait()
		s.End()
		synctest.Wait()
		select {
		case <-idle:
			t.Fatal("returned while a request was active")
		default:
		}
		s.End()
		<-idle
		s.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if s.AwaitIdle(ctx); ctx.Err() == nil {
			t.Error("returned before its context had ended")
		}
	})
}
