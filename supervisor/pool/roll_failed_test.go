package pool_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_FailedTrialLeavesTheOldWorkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{}
		p := startReady(t, fixed(3), old)
		before := p.workers()
		bad := &crew{delay: time.Second, fail: failing(never)}
		if err := p.Roll(t.Context(), bad, pool.ReasonReload, nil); !errors.Is(err, errImport) {
			t.Fatalf("got %v, want %v", err, errImport)
		}
		time.Sleep(time.Minute)
		if !maps.Equal(before, p.workers()) || bad.launched() != 1 || old.launched() != 3 {
			t.Errorf("got %v, %d new and %d old launches", p.ids(), bad.launched(), old.launched())
		}
		if p.Launcher() != pool.Launcher(old) {
			t.Error("new workers come from the failed launcher")
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.Generation != 1 || got.LastError != nil {
			t.Errorf("got %s, generation %d, last error %v", got.State, got.Generation, got.LastError)
		}
		if err := p.Roll(t.Context(), &crew{}, pool.ReasonReload, nil); err != nil {
			t.Errorf("the next roll: %v", err)
		}
	})
}

func TestPool_CancelledTrialLeavesTheOldWorkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(3), &crew{})
		before := p.workers()
		young := &crew{delay: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Roll(ctx, young, pool.ReasonReload, nil); !errors.Is(err, context.DeadlineExceeded) || p.elapsed() != time.Minute {
			t.Fatalf("got %v after %v, want the deadline after 1m", err, p.elapsed())
		}
		synctest.Wait()
		if young.starting != 0 {
			t.Error("the trial still starts")
		}
		if !maps.Equal(before, p.workers()) || len(p.ids()) != 3 || len(p.eventsOf(pool.WorkerFailed)) > 0 {
			t.Errorf("got %v, failures %v", p.ids(), p.eventsOf(pool.WorkerFailed))
		}
		if err := p.Roll(t.Context(), &crew{}, pool.ReasonReload, nil); err != nil {
			t.Errorf("the next roll: %v", err)
		}
	})
}

func TestPool_RollMendsAFailedSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{fail: failing(never)}, &crew{delay: time.Second}
		p := start(t, fixed(3), old)
		time.Sleep(time.Minute)
		tries := old.launched()
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.LastError != nil || p.elapsed() != 62*time.Second {
			t.Errorf("got %s, last error %v after %v, want running after 62s", got.State, got.LastError, p.elapsed())
		}
		time.Sleep(500 * time.Millisecond)
		young.last().crash()
		died := time.Now()
		if err := awaitReady(p); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(died); got != 1100*time.Millisecond {
			t.Errorf("replaced after %v, want 1.1s: the old code's failures are not the new one's", got)
		}
		if got := old.launched(); got > tries+1 {
			t.Errorf("the old code was tried %d times more", got-tries)
		}
	})
}

func TestPool_FailedTrialOfAFailedSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{fail: failing(never)}
		p := start(t, fixed(3), old)
		time.Sleep(time.Second)
		worse := errors.New("SyntaxError")
		if err := p.Roll(t.Context(), &crew{fail: func(int) error { return worse }}, pool.ReasonReload, nil); !errors.Is(err, worse) {
			t.Fatalf("got %v, want %v", err, worse)
		}
		tries := old.launched()
		time.Sleep(time.Minute)
		if got := p.Status(); !errors.Is(got.LastError, errImport) || got.State != pool.SiteFailed || old.launched() <= tries {
			t.Errorf("got %s, last error %v, %d tries since", got.State, got.LastError, old.launched()-tries)
		}
	})
}

// The trial succeeds, but the next launch fails: the old worker that it should have
// replaced serves on, and Roll returns why.
func TestPool_RollThatFailsHalfwayKeepsServing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		young := &crew{delay: time.Second, fail: func(nth int) error {
			if nth == 2 {
				return errImport
			}
			return nil
		}}
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); !errors.Is(err, errImport) || p.elapsed() != 2*time.Second {
			t.Fatalf("got %v after %v, want %v after 2s", err, p.elapsed(), errImport)
		}
		if serving, _ := count(p); serving != 2 || p.Status().Generation != 2 {
			t.Errorf("got %d serving of generation %d, want 2, 2", serving, p.Status().Generation)
		}
		time.Sleep(2 * time.Second)
		if got := p.Status(); got.Ready != 2 || len(got.Workers) != 2 || got.LastError != nil {
			t.Errorf("got %d ready of %d, last error %v: want the roll finished", got.Ready, len(got.Workers), got.LastError)
		}
	})
}

// The number of workers is right, but one of them is of the old generation.
func TestPool_RollOfADegradedSiteReplacesAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{fail: func(nth int) error {
			if nth > 1 {
				return errImport
			}
			return nil
		}}
		p := startReady(t, fixed(1), old)
		p.Apply(fixed(2))
		time.Sleep(time.Minute)
		if err := p.Roll(t.Context(), &crew{delay: time.Second}, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		if got := p.Status(); got.Ready != 2 || p.elapsed() != time.Minute+2*time.Second || !old.last().exited() {
			t.Errorf("got %d ready after %v, old one ended: %v", got.Ready, p.elapsed(), old.last().exited())
		}
	})
}
