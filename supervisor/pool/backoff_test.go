package pool_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

var errImport = errors.New("ImportError: no module named shop")

// failing lets launches fail up to the given one.
func failing(until int) func(int) error {
	return func(nth int) error {
		if nth < until {
			return fmt.Errorf("launch %d: %w", nth, errImport)
		}
		return nil
	}
}

const never = 1 << 30

// backoffs are the waits before each retry: 0.1 s doubling to 30 s.
var backoffs = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
	1600 * time.Millisecond, 3200 * time.Millisecond, 6400 * time.Millisecond, 12800 * time.Millisecond,
	25600 * time.Millisecond, 30 * time.Second, 30 * time.Second, 30 * time.Second,
}

func TestPool_LaunchFailuresBackOff(t *testing.T) {
	for _, takes := range []time.Duration{0, 3 * time.Second, time.Minute} {
		t.Run(takes.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &crew{delay: takes, fail: failing(never)}
				p := start(t, fixed(1), c)
				var want []time.Duration
				at := time.Duration(0)
				for _, b := range backoffs {
					want = append(want, at)
					at += takes + b
				}
				time.Sleep(at - time.Millisecond)
				if got := c.times(p.began); !slices.Equal(got, want) {
					t.Errorf("launches at\n%v, want\n%v", got, want)
				}
			})
		})
	}
}

// Workers that fail together count as one failure; then one is launched at a time.
func TestPool_FailedSiteIsTriedByOneWorkerAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second, fail: failing(never)}
		p := start(t, fixed(5), c)
		time.Sleep(1500 * time.Millisecond)
		c.mu.Lock()
		c.most = 0
		c.mu.Unlock()
		time.Sleep(10 * time.Second)
		ms := time.Millisecond
		want := []time.Duration{0, 0, 0, 0, 0, 1100 * ms, 2300 * ms, 3700 * ms, 5500 * ms, 8100 * ms}
		if got := c.times(p.began); !slices.Equal(got, want) {
			t.Errorf("launches at\n%v, want\n%v", got, want)
		}
		if c.most != 1 {
			t.Errorf("got %d tries at once, want 1", c.most)
		}
		if got := len(p.eventsOf(pool.WorkerFailed)); got != 10 {
			t.Errorf("got %d events of failures, want 10", got)
		}
	})
}

func TestPool_FailedSiteRefusesOldAndNewClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(2), &crew{delay: time.Second, fail: failing(never)})
		waiting := p.wait(t.Context(), "GET /")
		o := <-waiting
		var failed *pool.FailedError
		if !errors.As(o.err, &failed) || !errors.Is(o.err, errImport) || o.after != time.Second {
			t.Fatalf("waiting: got %v after %v, want a FailedError after 1s", o.err, o.after)
		}
		for range 20 { // while it is tried again, and while it is not
			time.Sleep(300 * time.Millisecond)
			o := <-p.wait(t.Context(), "GET /")
			if !errors.As(o.err, &failed) || o.after != 0 {
				t.Fatalf("at %v: got %v after %v, want a FailedError at once", p.elapsed(), o.err, o.after)
			}
		}
		if got := p.Status(); got.State != pool.SiteFailed || !errors.Is(got.LastError, errImport) || got.Refused != 21 || got.Queued != 0 {
			t.Errorf("got %s, last error %v, %d refused, %d queued", got.State, got.LastError, got.Refused, got.Queued)
		}
		if err := p.AwaitTarget(t.Context()); !errors.Is(err, errImport) {
			t.Errorf("await the target: got %v, want %v", err, errImport)
		}
	})
}

func TestPool_FailedSiteRecovers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{fail: failing(7)}
		p := start(t, fixed(3), c)
		time.Sleep(1500 * time.Millisecond) // three at 0, then one at 0.1, 0.3, 0.7, and 1.5 s
		synctest.Wait()
		if got, want := c.times(p.began)[6:], []time.Duration{15e8, 15e8, 15e8}; !slices.Equal(got, want) {
			t.Errorf("got launches at %v, want the others right after the first success", got)
		}
		if got := p.Status(); got.State != pool.SiteRunning || got.Ready != 3 || got.LastError != nil {
			t.Errorf("got %s, %d ready, last error %v", got.State, got.Ready, got.LastError)
		}
		p.claim("GET /").Release()
	})
}

func TestPool_EarlyDeathsBackOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second}
		p := startReady(t, fixed(1), c)
		var got []time.Duration
		for range backoffs {
			time.Sleep(500 * time.Millisecond)
			c.last().crash()
			died := time.Now()
			if err := awaitReady(p); err != nil {
				t.Fatal(err)
			}
			got = append(got, time.Since(died)-c.delay)
		}
		if !slices.Equal(got, backoffs) {
			t.Errorf("got waits\n%v, want\n%v", got, backoffs)
		}
		if n := p.Status().Restarts; n != len(backoffs) {
			t.Errorf("got %d restarts, want %d", n, len(backoffs))
		}
	})
}

// Even if a request that kills its worker is sent again and again, other requests do not
// wait ever longer for a new one.
func TestPool_EarlyDeathAfterAnAnswerIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		for range 20 {
			p.claim("GET /").Release()
			poison := p.claim("GET /poison")
			before := c.launched()
			c.last().crash()
			poison.Fail(true)
			synctest.Wait()
			if c.launched() != before+1 || p.elapsed() != 0 {
				t.Fatalf("at %v: no new worker at once", p.elapsed())
			}
		}
	})
}

// awaitReady returns when the pool has noticed that a worker has exited and has replaced it.
func awaitReady(p *site) error {
	synctest.Wait()
	return p.AwaitTarget(p.t.Context())
}

func TestPool_LateDeathIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{fail: failing(5)} // some launches fail at first
		p := start(t, fixed(1), c)
		time.Sleep(5 * time.Second)
		for range 5 {
			time.Sleep(10 * time.Second)
			before := c.launched()
			c.last().crash()
			synctest.Wait()
			if c.launched() != before+1 || p.Status().Ready != 1 {
				t.Fatalf("at %v: no new worker at once", p.elapsed())
			}
		}
	})
}

func TestPool_DeathIsEarlyForOneSecond(t *testing.T) {
	for lived, want := range map[time.Duration]time.Duration{999 * time.Millisecond: 100 * time.Millisecond, time.Second: 0} {
		t.Run(lived.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &crew{}
				p := startReady(t, fixed(1), c)
				time.Sleep(lived)
				c.last().crash()
				if err := awaitReady(p); err != nil {
					t.Fatal(err)
				}
				if got := p.elapsed() - lived; got != want {
					t.Errorf("replaced after %v, want %v", got, want)
				}
			})
		})
	}
}

func TestPool_LateDeathMakesTheNextEarlyOneTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{fail: failing(8)}
		p := start(t, fixed(1), c)
		time.Sleep(time.Minute)
		c.last().crash()
		time.Sleep(500 * time.Millisecond)
		c.last().crash()
		died := time.Now()
		if err := awaitReady(p); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(died); got != 100*time.Millisecond {
			t.Errorf("replaced after %v, want 100ms", got)
		}
	})
}

func TestPool_DeathsAtOneMomentCountOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(5), c)
		time.Sleep(500 * time.Millisecond)
		for _, w := range p.workers() {
			w.(*fake).crash()
		}
		if err := awaitReady(p); err != nil {
			t.Fatal(err)
		}
		if got := p.elapsed(); got != 600*time.Millisecond {
			t.Errorf("all back after %v, want 0.6s", got)
		}
		if got := p.Status(); got.Restarts != 5 || got.LastExit.Reason != pool.ReasonCrash {
			t.Errorf("got %d restarts, last for %q", got.Restarts, got.LastExit.Reason)
		}
	})
}

// A site that was scaled to 0 while it failed is launched again once it may have workers.
func TestPool_FailedSiteIsTriedAfterItWasScaledToNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(1), &crew{fail: failing(3)})
		synctest.Wait()
		if err := p.Scale(t.Context(), 0); err != nil {
			t.Fatalf("scale to nothing: %v", err)
		}
		p.Apply(between(0, 5))
		time.Sleep(time.Minute)
		waiting := p.wait(t.Context(), "GET /") // fails once more
		var failed *pool.FailedError
		if o := <-waiting; !errors.As(o.err, &failed) {
			t.Fatalf("got %v, want a FailedError", o.err)
		}
		time.Sleep(time.Second)
		p.claim("GET /").Release()
	})
}
