package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// paced runs three workers on two processors that have answered each in took.
func paced(t *testing.T, took time.Duration, change func(*pool.Settings)) *site {
	t.Helper()
	s := fixed(3)
	if change != nil {
		change(&s)
	}
	p := run(t, pool.Options{Settings: s, Launcher: &crew{}, Processors: 2})
	if err := p.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c := p.claim("GET /")
		time.Sleep(took)
		c.Release()
	}
	return p
}

// TestPool_FastWorkersAreWaitedFor: with as many running as there are processors,
// a third request waits for one of them, and the idle worker stays idle.
func TestPool_FastWorkersAreWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := paced(t, 200*time.Microsecond, nil)
		first, second := p.claim("GET /"), p.claim("GET /")
		third, err := p.Ask("GET /", nil)
		if err != nil || third.Settled() {
			t.Fatalf("got a worker at once, %v", err)
		}
		time.Sleep(time.Millisecond)
		first.Release()
		if !third.Settled() || third.ID() != first.ID() {
			t.Errorf("waited for %s and did not get it", first.ID())
		}
		second.Release()
		third.Release()
	})
}

// TestPool_StalledWorkersAreNotWaitedFor: when none answers, an idle one is taken.
func TestPool_StalledWorkersAreNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := paced(t, 200*time.Microsecond, nil)
		first, second := p.claim("GET /"), p.claim("GET /")
		asked := time.Now()
		third, err := p.Claim(t.Context(), "GET /")
		if waited := time.Since(asked); err != nil || waited == 0 || waited > 4*time.Millisecond {
			t.Fatalf("waited %v (%v), want some 2 ms", waited, err)
		}
		for _, c := range []*pool.Claim{first, second, third} {
			c.Release()
		}
	})
}

// TestPool_WhoIsNotWaitedFor: slow workers, those of several threads, where nothing
// may wait, or where it may not wait long.
func TestPool_WhoIsNotWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		took   time.Duration
		change func(*pool.Settings)
	}{
		"slow":          {5 * time.Millisecond, nil},
		"threads":       {200 * time.Microsecond, func(s *pool.Settings) { s.Threads = 2 }},
		"no queue":      {200 * time.Microsecond, func(s *pool.Settings) { s.Backlog = 0 }},
		"short timeout": {200 * time.Microsecond, func(s *pool.Settings) { s.QueueTimeout = 10 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := paced(t, test.took, test.change)
				for range 3 {
					c, err := p.Ask("GET /", nil)
					if err != nil || !c.Settled() {
						t.Fatalf("no worker at once: %v", err)
					}
					defer c.Release()
				}
				synctest.Wait()
			})
		})
	}
}
