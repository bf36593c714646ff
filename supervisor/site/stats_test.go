package site

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestStats_Counts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Stats{}
		if got := s.Counts(); got != (Counts{}) {
			t.Errorf("got %+v of nothing", got)
		}
		s.record(time.Hour, 200)
		<-time.After(rateWindow) // from here on too old for the rate
		for i := range 99 {
			status := 200
			if i < 3 {
				status = []int{499, 500, 503}[i]
			}
			s.record(time.Duration(99-i)*time.Millisecond, status)
		}
		want := Counts{Total: 100, Errors: 2, PerSecond: 9.9, P50: 51 * time.Millisecond, P99: time.Hour}
		if got := s.Counts(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestStats_CountsTheLast1024: with 4096 requests a second the ring is overwritten
// several times; the percentiles are those of the last 1024.
func TestStats_CountsTheLast1024(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Stats{}
		for i := range 3 * samples {
			<-time.After(time.Second / 4096)
			s.record(time.Duration(i), 200)
		}
		got := s.Counts()
		if got.Total != 3*samples || got.P50 != 2*samples+samples/2 || got.P99 != 2*samples+samples*99/100 {
			t.Errorf("got %+v", got)
		}
		if got.PerSecond < 4090 || got.PerSecond > 4110 {
			t.Errorf("got %v a second, want 4096 or so", got.PerSecond)
		}
	})
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
