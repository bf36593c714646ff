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

func limited(n, requests int) pool.Settings {
	s := fixed(n)
	s.MaximumRequests = requests
	return s
}

// serve lets every worker answer so many requests.
func (r *site) serve(rounds int) {
	r.t.Helper()
	var claims []*pool.Claim
	for range rounds {
		for range r.Status().Ready {
			claims = append(claims, r.claim("GET /"))
		}
		for _, c := range claims {
			c.Release()
		}
		claims = claims[:0]
	}
}

func (r *site) wantEnds(reason pool.Reason, n int) []pool.Event {
	r.t.Helper()
	ends := r.eventsOf(pool.WorkerExited)
	if len(ends) != n {
		r.t.Fatalf("at %v: got %d ends, want %d", r.elapsed(), len(ends), n)
	}
	for _, e := range ends {
		if e.Reason != reason {
			r.t.Errorf("%s exited because of %q, want %s", e.ID, e.Reason, reason)
		}
	}
	return ends
}

func TestPool_MaximumRequestsReplacesAWorkerWithoutAGap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: 2 * time.Second}
		p := startReady(t, limited(1, 50), c)
		first := c.last()
		p.serve(50 - 1)
		synctest.Wait()
		if c.launched() != 1 {
			t.Fatal("replaced before it had answered 50")
		}
		p.serve(1 + 5)
		synctest.Wait()
		if c.launched() != 2 || first.exited() {
			t.Fatalf("%d launches after 55 requests, want a successor that starts", c.launched())
		}
		last := p.claim("GET /last")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if next := p.claim("GET /"); next.Worker() != pool.Worker(c.last()) || first.exited() {
			t.Error("the successor is not there, or the old one ended with a request")
		}
		last.Release()
		synctest.Wait()
		e := p.wantEnds(pool.ReasonMaximumRequests, 1)[0]
		if e.Requests != 56 || !first.exited() || p.Status().Restarts != 0 {
			t.Errorf("got %+v, %d restarts", e, p.Status().Restarts)
		}
	})
}

// Workers that reach their limits at the same moment are replaced one by one.
func TestPool_SiblingsAreNotReplacedTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: 2 * time.Second, linger: time.Second}
		p := startReady(t, limited(3, 10), c)
		p.onEvent(func(e pool.Event) {
			if serving, starting := count(p); serving < 3 || starting > 1 || len(p.Status().Workers) > 4 {
				t.Errorf("at %v (%s %s): %d serve, %d start of %d", p.elapsed(), e.ID, e.Kind, serving, starting, len(p.Status().Workers))
			}
		})
		p.serve(11)
		synctest.Wait()
		if err := p.AwaitTarget(t.Context()); err != nil || p.elapsed() != 2*time.Second {
			t.Errorf("the pool is not on target meanwhile: %v, %v", err, p.elapsed())
		}
		time.Sleep(time.Minute)
		p.onEvent(nil)
		p.wantEnds(pool.ReasonMaximumRequests, 3)
		if got, want := c.times(p.began)[3:], []time.Duration{2 * time.Second, 5 * time.Second, 8 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("successors were launched after %v, want %v: each when the one before has ended", got, want)
		}
		if got := p.Status(); got.Ready != 3 || len(got.Workers) != 3 || got.Generation != 1 {
			t.Errorf("got %d ready of %d, generation %d", got.Ready, len(got.Workers), got.Generation)
		}
	})
}

func TestPool_LimitsAreSpreadByATenth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(8)
		s.RestartInterval = 100 * time.Minute
		c := &crew{}
		p := startReady(t, s, c)
		time.Sleep(100*time.Minute - 1)
		p.wantEnds(pool.ReasonRestartInterval, 0)
		time.Sleep(10*time.Minute + 1)
		synctest.Wait()
		ends := p.wantEnds(pool.ReasonRestartInterval, 8)
		for i, e := range ends[1:] {
			if e.Time.Equal(ends[i].Time) {
				t.Errorf("%s and %s ended at the same moment", ends[i].ID, e.ID)
			}
		}
	})
}

func TestPool_SuccessorThatDoesNotStartChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{fail: func(nth int) error {
			if nth > 2 && nth < 6 {
				return errImport
			}
			return nil
		}}
		p := startReady(t, limited(2, 10), c)
		p.serve(11)
		synctest.Wait()
		if got := p.Status(); got.State != pool.SiteRunning || got.Ready != 2 || !errors.Is(got.LastError, errImport) {
			t.Errorf("got %s, %d ready, last error %v", got.State, got.Ready, got.LastError)
		}
		p.wantEnds(pool.ReasonMaximumRequests, 0)
		p.serve(3) // no request has to wait
		time.Sleep(time.Minute)
		p.wantEnds(pool.ReasonMaximumRequests, 2)
		if got := p.Status(); got.LastError != nil || got.Ready != 2 {
			t.Errorf("got %d ready, last error %v", got.Ready, got.LastError)
		}
	})
}

func TestPool_RecycleReplacesTheGivenWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(3), &crew{delay: time.Second})
		before := p.workers()
		for range 3 { // each measurement finds it once more
			p.Recycle(before["shop/2"], pool.ReasonMemoryLimit)
		}
		p.Recycle(&fake{}, pool.ReasonMemoryLimit) // of another site
		time.Sleep(time.Minute)
		p.Recycle(before["shop/2"], pool.ReasonMemoryLimit) // gone by now
		time.Sleep(time.Minute)
		if e := p.wantEnds(pool.ReasonMemoryLimit, 1); e[0].ID != "shop/2" {
			t.Errorf("%s was replaced", e[0].ID)
		}
		if after := p.workers(); len(after) != 3 || after["shop/1"] != before["shop/1"] || after["shop/3"] != before["shop/3"] {
			t.Errorf("got %v", p.ids())
		}
	})
}

func TestPool_TheOldestIsReplacedFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(3), &crew{delay: time.Second, linger: time.Second})
		for _, id := range []string{"shop/1", "shop/2"} { // whose successors are shop/4 and shop/1
			p.Recycle(p.workers()[id], pool.ReasonMemoryLimit)
			time.Sleep(time.Minute)
		}
		p.Apply(limited(3, 1))
		p.serve(1)
		time.Sleep(time.Minute)
		var order []string
		for _, e := range p.eventsOf(pool.WorkerExited) {
			order = append(order, e.ID)
		}
		if want := []string{"shop/1", "shop/2", "shop/3", "shop/4", "shop/1"}; !slices.Equal(order, want) {
			t.Errorf("ended: %v, want %v", order, want)
		}
	})
}

// Whatever happens meanwhile, the pool ends up with the right number of workers.
func TestPool_WhileAWorkerIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *site, *fake) // while the successor of shop/1 starts
		want int
		end  pool.Reason // of shop/1
	}{
		{"it dies", func(_ *testing.T, _ *site, w *fake) { w.crash() }, 2, pool.ReasonCrash},
		{"scale up", func(_ *testing.T, p *site, _ *fake) { p.Apply(fixed(4)) }, 4, pool.ReasonMemoryLimit},
		{"scale down", func(_ *testing.T, p *site, _ *fake) { p.Apply(fixed(1)) }, 1, pool.ReasonMemoryLimit},
		{"scale to 0", func(_ *testing.T, p *site, _ *fake) { p.Apply(fixed(0)) }, 0, pool.ReasonMemoryLimit},
		{"stop", func(_ *testing.T, p *site, _ *fake) { p.Stop() }, 0, pool.ReasonStop},
		{"roll", func(t *testing.T, p *site, _ *fake) {
			if err := p.Roll(t.Context(), &crew{delay: time.Second}, pool.ReasonReload, nil); err != nil {
				t.Error(err)
			}
		}, 2, pool.ReasonMemoryLimit},
		{"its request overruns", func(_ *testing.T, p *site, w *fake) {
			c := p.claim("GET /stuck")
			if c.Worker() != pool.Worker(w) {
				c, _ = p.claim("GET /stuck"), c
			}
			c.MarkStuck(pool.ReasonRequestTimeout)
		}, 2, pool.ReasonRequestTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &crew{delay: time.Second}
				p := startReady(t, fixed(2), c)
				w := p.workers()["shop/1"].(*fake)
				p.Recycle(w, pool.ReasonMemoryLimit)
				synctest.Wait()
				time.Sleep(time.Second / 2)
				if serving, starting := count(p); serving != 2 || starting != 1 {
					t.Fatalf("got %d serving, %d starting, want 2, 1", serving, starting)
				}
				tt.do(t, p, w)
				time.Sleep(time.Minute)
				if got := p.Status(); got.Ready != tt.want || len(got.Workers) != tt.want {
					t.Errorf("got %d ready of %d, want %d", got.Ready, len(got.Workers), tt.want)
				}
				for _, e := range p.eventsOf(pool.WorkerExited) {
					if e.Worker == pool.Worker(w) && e.Reason != tt.end {
						t.Errorf("it ended because of %q, want %s", e.Reason, tt.end)
					}
				}
				if !w.exited() {
					t.Error("it lives on")
				}
			})
		})
	}
}

// A site falls asleep even if its workers are replaced more often than that takes.
func TestPool_RestartIntervalKeepsNoSiteAwake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := between(0, 2)
		s.InactivityTimeout, s.RestartInterval = 10*time.Minute, 3*time.Minute
		p := startReady(t, s, &crew{delay: time.Second})
		p.served(p.wait(t.Context(), "GET /")).Release()
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if got := p.Status(); got.State != pool.SiteRunning || len(p.eventsOf(pool.WorkerExited)) != 2 {
			t.Errorf("after 9m: %s, %d ends", got.State, len(p.eventsOf(pool.WorkerExited)))
		}
		time.Sleep(2 * time.Minute)
		if got := p.Status(); got.State != pool.SiteSleeping || got.LastExit.Reason != pool.ReasonInactivity {
			t.Errorf("after 11m: %s, last end for %q", got.State, got.LastExit.Reason)
		}
	})
}

func TestPool_NamesAnExitForLackOfMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		time.Sleep(time.Minute)
		c.last().oom = true
		p.claim("GET /large")
		c.last().crash()
		synctest.Wait()
		if e := p.wantEnds(pool.ReasonOOM, 1)[0]; !slices.Equal(e.Running, []string{"GET /large"}) || p.Status().Restarts != 1 {
			t.Errorf("got %+v, %d restarts", e, p.Status().Restarts)
		}
	})
}

func TestPool_NamesALaunchThatTookTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{fail: func(int) error { return fmt.Errorf("launch: %w", pool.StartupTimeoutError{Limit: time.Second}) }}
		p := start(t, fixed(1), c)
		synctest.Wait()
		e := p.eventsOf(pool.WorkerFailed)
		if len(e) != 1 || e[0].Reason != pool.ReasonStartupTimeout || p.Status().LastExit.Reason != pool.ReasonStartupTimeout {
			t.Errorf("got %+v, last end %+v", e, p.Status().LastExit)
		}
	})
}
