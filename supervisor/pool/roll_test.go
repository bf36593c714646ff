package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// count returns how many workers are ready and how many start.
func count(p *site) (serving, starting int) {
	for _, w := range p.Status().Workers {
		switch w.State {
		case "ready", "busy":
			serving++
		case "starting":
			starting++
		}
	}
	return serving, starting
}

func TestPool_RollReplacesAllWithoutAGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{linger: time.Second}, &crew{delay: 2 * time.Second}
		p := startReady(t, fixed(5), old)
		p.onEvent(func(e pool.Event) {
			serving, starting := count(p)
			if serving < 5 || starting > 2 {
				t.Errorf("at %v (%s %s): %d serve, %d start; want 5 or more, 2 or fewer", p.elapsed(), e.ID, e.Kind, serving, starting)
			}
		})
		done := make(chan struct{})
		go requests(p, done)
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		p.onEvent(nil)
		close(done)
		if got := p.elapsed(); got != 7*time.Second {
			t.Errorf("rolled after %v, want 7s: the trial, twice two workers, the last stop", got)
		}
		if got := p.Status(); got.Generation != 2 || got.Ready != 5 || got.Refused != 0 || got.Restarts != 0 {
			t.Errorf("got generation %d, %d ready, %d refused, %d restarts", got.Generation, got.Ready, got.Refused, got.Restarts)
		}
		for _, w := range old.workers {
			if stops, _, _ := w.stopped(); stops != 1 || !w.exited() {
				t.Errorf("%s was stopped %d times", w.id, stops)
			}
		}
		if p.Launcher() != pool.Launcher(young) {
			t.Error("new workers come from the old launcher")
		}
		if young.launched() != 5 || young.most != 2 {
			t.Errorf("got %d launches, %d at once, want 5, 2", young.launched(), young.most)
		}
	})
}

// requests claims one worker after the other, and no claim may have to wait.
func requests(p *site, done <-chan struct{}) {
	for {
		c, err := p.Claim(context.Background(), "GET /")
		if err != nil {
			p.t.Errorf("claim during a roll: %v", err)
			return
		}
		time.Sleep(10 * time.Millisecond)
		c.Release()
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestPool_RollWaitsForInflight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{}
		p := startReady(t, fixed(2), old)
		long := p.claim("GET /long")
		time.AfterFunc(12*time.Second, long.Release)
		if err := p.Roll(t.Context(), &crew{delay: time.Second}, pool.ReasonRestart, nil); err != nil {
			t.Fatal(err)
		}
		if p.elapsed() != 12*time.Second {
			t.Errorf("rolled after %v, want 12s", p.elapsed())
		}
		for _, e := range p.eventsOf(pool.WorkerExited) {
			if e.Reason != pool.ReasonRestart || e.Generation != 1 {
				t.Errorf("%s of generation %d ended because of %q", e.ID, e.Generation, e.Reason)
			}
		}
	})
}

func TestPool_RollOfASleepingSiteHasATrial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{}, &crew{delay: time.Second}
		p := startReady(t, between(0, 2), old)
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		if st := p.Status(); young.launched() != 1 || st.State != pool.SiteSleeping || len(st.Workers) != 0 {
			t.Fatalf("got %d launches, then %s with %+v", young.launched(), st.State, st.Workers)
		}
		if e := p.eventsOf(pool.WorkerExited); len(e) != 1 || e[0].Reason != pool.ReasonReload {
			t.Errorf("got %+v, want the end of the one that was tried", e)
		}
		p.served(p.wait(t.Context(), "GET /")).Release()
		if old.launched() != 0 || young.launched() != 2 {
			t.Errorf("woken by %d old and %d new launches, want 0, 1", old.launched(), young.launched()-1)
		}
	})
}

func TestPool_RollOfASleepingSiteKeepsTheOldWhenTheNewFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{}
		p := startReady(t, between(0, 2), old)
		if err := p.Roll(t.Context(), &crew{fail: failing(never)}, pool.ReasonReload, nil); !errors.Is(err, errImport) {
			t.Fatalf("got %v, want %v", err, errImport)
		}
		if st := p.Status(); st.State != pool.SiteSleeping || st.Generation != 1 {
			t.Errorf("got %s in generation %d, want it still to sleep in generation 1", st.State, st.Generation)
		}
		p.served(p.wait(t.Context(), "GET /")).Release()
		if old.launched() != 1 {
			t.Errorf("woken by %d old launches, want 1", old.launched())
		}
	})
}

// A request that comes during the trial wakes the site and gets the new worker.
func TestPool_RollOfASleepingSiteThatIsWoken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{delay: time.Minute}, &crew{delay: time.Second}
		p := startReady(t, between(0, 2), old)
		rolled := make(chan error, 1)
		go func() { rolled <- p.Roll(t.Context(), young, pool.ReasonReload, nil) }()
		synctest.Wait()
		c := p.served(p.wait(t.Context(), "GET /"))
		c.Release()
		if err := <-rolled; err != nil {
			t.Error(err)
		}
		if st := p.Status(); st.State != pool.SiteRunning || st.Ready != 1 || young.launched() != 1 {
			t.Errorf("got %s with %d ready after %d launches, want the one that was tried to stay", st.State, st.Ready, young.launched())
		}
	})
}

// An old worker that is not ready yet does not count.
func TestPool_RollWhileAnOldWorkerStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{}, &crew{delay: time.Second}
		p := startReady(t, fixed(2), old)
		time.Sleep(time.Minute)
		old.delay = time.Hour
		before := p.workers()
		first := before["shop/1"].(*fake)
		before["shop/2"].(*fake).crash()
		synctest.Wait()
		p.onEvent(func(e pool.Event) {
			if serving, _ := count(p); serving < 1 {
				t.Errorf("%s %s: %d serve", e.ID, e.Kind, serving)
			}
			if first.exited() && p.Status().Ready < 2 {
				t.Error("the last old worker was ended for a single new one")
			}
		})
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		p.onEvent(nil)
		if got := p.elapsed(); got != time.Minute+2*time.Second {
			t.Errorf("rolled after %v, want 1m2s", got)
		}
	})
}

func TestPool_SwitchOfASleepingSiteStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{}, &crew{}
		p := startReady(t, between(0, 2), old)
		if !p.Switch(young, pool.ReasonReload) || p.Status().Generation != 2 {
			t.Error("not switched")
		}
		if young.launched() != 0 {
			t.Errorf("%d launches", young.launched())
		}
		p.served(p.wait(t.Context(), "GET /")).Release()
		if old.launched() != 0 || young.launched() != 1 {
			t.Errorf("woken by %d old and %d new launches, want 0, 1", old.launched(), young.launched())
		}
		if p.Switch(old, pool.ReasonReload) {
			t.Error("switched while it is awake")
		}
	})
}
