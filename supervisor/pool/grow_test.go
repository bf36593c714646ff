package pool_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_RequestWakesASleepingSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: 2 * time.Second}
		p := startReady(t, between(0, 3), c)
		if got := p.Status(); got.State != pool.SiteSleeping || c.launched() != 0 {
			t.Fatalf("got %s after %d launches, want sleeping", got.State, c.launched())
		}
		o := <-p.wait(t.Context(), "GET /")
		if o.err != nil || o.after != 2*time.Second {
			t.Fatalf("got %v after %v, want a worker after 2s", o.err, o.after)
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.Desired != 1 {
			t.Errorf("got %s with %d desired", got.State, got.Desired)
		}
	})
}

func TestPool_GrowsAsManyAsWait(t *testing.T) {
	tests := []struct {
		name             string
		threads, waiting int
		want             int
	}{
		{"one", 1, 1, 1},
		{"each its own", 1, 3, 3},
		{"never above the most", 1, 9, 4},
		{"threads count", 2, 4, 2},
		{"threads and one more", 2, 5, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := between(0, 4)
				s.Threads = tt.threads
				c := &crew{delay: time.Second}
				p := startReady(t, s, c)
				for range tt.waiting {
					p.wait(t.Context(), "GET /")
				}
				time.Sleep(10 * time.Second)
				got := p.Status()
				if got.Ready != tt.want || got.Desired != tt.want || c.launched() != tt.want {
					t.Errorf("got %d ready, %d desired, %d launches, want %d", got.Ready, got.Desired, c.launched(), tt.want)
				}
				if want := min(tt.waiting, tt.want*tt.threads); got.Active != want {
					t.Errorf("got %d active, want %d", got.Active, want)
				}
			})
		})
	}
}

// A worker that is to be replaced after a backoff counts as one that will take a request.
func TestPool_BackoffIsNoReasonToGrow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, between(1, 5), c)
		c.last().crash()
		synctest.Wait()
		o := <-p.wait(t.Context(), "GET /")
		if o.err != nil || o.after != 100*time.Millisecond || p.Status().Desired != 1 {
			t.Errorf("got %v after %v, %d desired, want a worker after 100ms, 1", o.err, o.after, p.Status().Desired)
		}
	})
}

func TestPool_GrowsNoMoreThanFixedCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		p.claim("GET /")
		p.wait(t.Context(), "GET /")
		if c.launched() != 1 {
			t.Errorf("got %d launches, want 1", c.launched())
		}
	})
}

// The worker is busy when Run reconciles, and nothing wakes Run when it becomes idle.
func TestPool_InactiveWorkerIsDrainedInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := between(0, 3)
		s.InactivityTimeout = time.Minute
		p := startReady(t, s, &crew{})
		for range 3 { // asleep, and woken again
			held := p.served(p.wait(t.Context(), "GET /"))
			time.Sleep(20 * time.Second)
			held.Release()
			released := time.Now()
			time.Sleep(10 * time.Second)
			p.claim("GET /").Release()
			time.Sleep(time.Minute - time.Millisecond)
			synctest.Wait()
			if got := p.Status(); got.Ready != 1 {
				t.Fatalf("got %s %v after the first request", got.State, time.Since(released))
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if got := p.Status(); got.State != pool.SiteSleeping || got.Desired != 0 || got.LastExit.Reason != pool.ReasonInactivity {
				t.Fatalf("got %s, %d desired, last end for %q", got.State, got.Desired, got.LastExit.Reason)
			}
		}
	})
}

// TestPool_InactivityKeepsTheBusy: of the idle workers Min stay, but fresh ones replace
// them, since a worker that has served holds memory that a new one would share.
func TestPool_InactivityKeepsTheBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := between(2, 5)
		s.InactivityTimeout = time.Minute
		p := startReady(t, s, &crew{})
		first := p.workers()
		var held []*pool.Claim
		for range 5 {
			held = append(held, p.served(p.wait(t.Context(), "GET /")))
		}
		for _, c := range held {
			if c.ID() != "shop/4" {
				c.Release()
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := p.workers()
		if len(got) != 2 || got["shop/4"] == nil || got["shop/1"] == first["shop/1"] {
			t.Errorf("got %v, want the busy shop/4 and a new one", p.ids())
		}
		for _, c := range held {
			if c.ID() == "shop/4" {
				c.Release()
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		fresh := p.workers()
		if len(fresh) != 2 || fresh["shop/4"] == got["shop/4"] {
			t.Errorf("got %v, want two, none of them shop/4 as it was", p.ids())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if last := p.workers(); !maps.Equal(last, fresh) {
			t.Errorf("got %v, want %v: no request came since", p.ids(), fresh)
		}
	})
}

func TestPool_FixedCountIgnoresInactivity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(3)
		s.InactivityTimeout = time.Minute
		p := startReady(t, s, &crew{})
		before := p.workers()
		time.Sleep(24 * time.Hour)
		if !maps.Equal(before, p.workers()) {
			t.Errorf("got %v", p.ids())
		}
	})
}

// While other workers fail to start, inactivity does not drain the one that serves.
func TestPool_InactivityFirstGivesUpWhatDoesNotStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := between(1, 3)
		s.InactivityTimeout = time.Minute
		p := startReady(t, s, &crew{fail: func(nth int) error {
			if nth > 1 {
				return errImport
			}
			return nil
		}})
		first := p.workers()
		held := p.claim("GET /")
		waiting := p.wait(t.Context(), "GET /")
		held.Release()
		p.served(waiting).Release()
		if got := p.Status(); got.Desired != 2 || got.State != pool.SiteDegraded {
			t.Fatalf("got %d desired, %s, want 2, degraded", got.Desired, got.State)
		}
		time.Sleep(time.Hour)
		if got := p.Status(); got.Desired != 1 || got.State != pool.SiteRunning || !maps.Equal(first, p.workers()) {
			t.Errorf("got %d desired, %s, %v", got.Desired, got.State, p.ids())
		}
	})
}
