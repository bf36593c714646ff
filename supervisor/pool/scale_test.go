package pool_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_StartsAllWorkersSideBySide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: 2 * time.Second}
		p := startReady(t, fixed(5), c)
		if p.elapsed() != 2*time.Second || c.most != 5 {
			t.Errorf("got %d launches at once, all ready after %v, want 5 after 2s", c.most, p.elapsed())
		}
		if got, want := p.ids(), []string{"shop/1", "shop/2", "shop/3", "shop/4", "shop/5"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.Ready != 5 || got.Desired != 5 {
			t.Errorf("got %s, %d of %d ready", got.State, got.Ready, got.Desired)
		}
	})
}

// A pool may have many workers, but launches few at a time, and claims do not wait.
func TestPool_ManyWorkersStartFewAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second}
		p := startReady(t, fixed(1), c)
		if err := p.Scale(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		if c.most > 16 {
			t.Errorf("%d started at once", c.most)
		}
		if ids := p.ids(); len(ids) != 1000 || ids[999] != "shop/1000" {
			t.Errorf("got %d workers, the last %s", len(ids), ids[len(ids)-1])
		}
		for range 1000 {
			p.claim("GET /")
		}
		waiting := p.wait(t.Context(), "GET /")
		if len(waiting) > 0 {
			t.Error("got a worker, and none was free")
		}
	})
}

func TestPool_ScaleUpKeepsTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second}
		p := startReady(t, fixed(3), c)
		before := p.workers()
		if err := p.Scale(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		after := p.workers()
		if len(after) != 5 || after["shop/4"] == nil || after["shop/5"] == nil {
			t.Fatalf("got %v, want shop/1 to shop/5", p.ids())
		}
		for id, w := range before {
			if after[id] != w {
				t.Errorf("%s was replaced", id)
			}
		}
	})
}

func TestPool_ScaleDownEndsIdleWorkersWithTheHighestNumbers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(5), &crew{})
		before := p.workers()
		var claims []*pool.Claim
		for range 5 {
			claims = append(claims, p.claim("GET /"))
		}
		for _, c := range claims[:4] {
			c.Release()
		}
		if err := p.Scale(t.Context(), 3); err != nil { // does not wait for shop/5
			t.Fatal(err)
		}
		if got, want := p.ids(), []string{"shop/1", "shop/2", "shop/5"}; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for id, w := range p.workers() {
			if before[id] != w {
				t.Errorf("%s was replaced", id)
			}
		}
		for _, e := range p.eventsOf(pool.WorkerExited) {
			if e.Reason != pool.ReasonScale {
				t.Errorf("%s ended because of %q, want scale", e.ID, e.Reason)
			}
		}
		if err := p.Scale(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(p.workers())); !slices.Equal(got, []string{"shop/1", "shop/2", "shop/3", "shop/4", "shop/5"}) {
			t.Errorf("got %v, want the free numbers taken again", got)
		}
	})
}

func TestPool_ScaleDownWaitsForBusyWorkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{linger: time.Second}
		p := startReady(t, fixed(2), c)
		one, two := p.claim("GET /1"), p.claim("GET /2")
		time.AfterFunc(7*time.Second, func() { two.Release() })
		if err := p.Scale(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if got := p.elapsed(); got != 8*time.Second {
			t.Errorf("scaled after %v, want 8s: 7s of request and 1s of stop", got)
		}
		if got := p.ids(); !slices.Equal(got, []string{"shop/1"}) {
			t.Errorf("got %v, want shop/1", got)
		}
		one.Release()
	})
}

func TestPool_ScaleDownCancelsStartingWorkersFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(2), c)
		before := p.workers()
		c.delay = time.Hour
		s := fixed(4)
		p.Apply(s)
		synctest.Wait()
		if got := c.launched(); got != 4 {
			t.Fatalf("got %d launches, want 4", got)
		}
		if err := p.Scale(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(before, p.workers()) || p.elapsed() != 0 {
			t.Errorf("got %v after %v, want the first two at once", p.ids(), p.elapsed())
		}
		if got := p.eventsOf(pool.WorkerFailed); len(got) > 0 {
			t.Errorf("a cancelled launch was reported as a failure: %v", got)
		}
	})
}

func TestPool_ApplyRestartsNoWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(3), c)
		before := p.workers()
		s := fixed(3)
		s.Threads, s.Backlog, s.QueueTimeout, s.GracefulTimeout = 7, 1, time.Second, time.Second
		p.Apply(s)
		if err := p.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.launched() != 3 || !maps.Equal(before, p.workers()) {
			t.Errorf("got %d launches, workers %v", c.launched(), p.ids())
		}
	})
}

func TestPool_ScaleReturnsWhyAWorkerDoesNotStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		full := errors.New("out of memory")
		c := &crew{fail: func(nth int) error {
			if nth > 2 {
				return full
			}
			return nil
		}}
		p := startReady(t, fixed(2), c)
		if err := p.Scale(t.Context(), 3); !errors.Is(err, full) {
			t.Fatalf("got %v, want %v", err, full)
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.Ready != 2 || got.Desired != 2 || got.LastError != nil {
			t.Errorf("got %s with %d of %d ready, last error %v, want what it had", got.State, got.Ready, got.Desired, got.LastError)
		}
		p.claim("GET /").Release() // the other workers serve
	})
}

// After the failure the pool has the range and the workers that it had before.
func TestPool_ScaleThatFailsHalfwayIsUndone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		full := errors.New("no more processes")
		c := &crew{fail: func(nth int) error {
			if nth > 30 {
				return full
			}
			return nil
		}}
		p := startReady(t, between(2, 5), c)
		before := p.workers()
		if err := p.Scale(t.Context(), 100); !errors.Is(err, full) {
			t.Fatalf("got %v, want %v", err, full)
		}
		if err := p.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := p.Status(); got.Min != 2 || got.Max != 5 || !maps.Equal(before, p.workers()) {
			t.Errorf("got %d to %d, workers %v", got.Min, got.Max, p.ids())
		}
	})
}

func TestPool_ScaleIsSuperseded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second}
		p := startReady(t, fixed(1), c)
		first := make(chan error)
		go func() { first <- p.Scale(t.Context(), 9) }()
		synctest.Wait()
		if err := p.Scale(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		if err := <-first; !errors.Is(err, pool.ErrScaledAgain) {
			t.Errorf("got %v, want %v", err, pool.ErrScaledAgain)
		}
	})
}

func TestPool_ScaleAfterStopStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{linger: time.Second}
		p := startReady(t, fixed(1), c)
		p.Stop()
		if err := p.Scale(t.Context(), 3); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
		<-p.done
		if got := c.launched(); got != 1 {
			t.Errorf("got %d launches, want 1", got)
		}
	})
}
