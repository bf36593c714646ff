package pool_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_StuckWorkerIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 3
		c := &crew{linger: 2 * time.Second}
		p := startReady(t, s, c)
		stuck, too, other := p.claim("GET /stuck"), p.claim("GET /too"), p.claim("GET /other")
		w := c.last()
		time.Sleep(3 * time.Second)
		stuck.MarkStuck(pool.ReasonRequestTimeout)
		too.MarkStuck(pool.ReasonRequestTimeout)
		stuck.Release()
		synctest.Wait()
		if next := p.claim("GET /"); next.Worker() == pool.Worker(w) || next.Worker().PID() != 2 {
			t.Errorf("got the stuck worker again")
		}
		if w.dumps != 1 {
			t.Errorf("got %d stacks, want 1", w.dumps)
		}
		if st := p.Status().Workers; len(st) != 2 || !slices.ContainsFunc(st, func(w pool.WorkerStatus) bool { return w.State == "stuck" }) {
			t.Errorf("got %+v, want one of two stuck", st)
		}
		time.Sleep(4 * time.Second)
		if stops, _, _ := w.stopped(); stops != 0 {
			t.Fatal("stopped while another request was running")
		}
		other.Release()
		synctest.Wait()
		if _, at, grace := w.stopped(); at.Sub(p.began) != 7*time.Second || grace != 5*time.Second {
			t.Errorf("stopped at %v with grace %v, want 7s with 5s", at.Sub(p.began), grace)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		e := p.eventsOf(pool.WorkerExited)
		if len(e) != 1 || e[0].Reason != pool.ReasonRequestTimeout || !slices.Equal(slices.Sorted(slices.Values(e[0].Running)), []string{"GET /stuck", "GET /too"}) {
			t.Errorf("got %+v, want one end for request_timeout with both requests", e)
		}
		too.Release()
		if got := p.Status(); got.Restarts != 1 || got.Active != 1 {
			t.Errorf("got %d restarts, %d active", got.Restarts, got.Active)
		}
	})
}

// A worker that drains for another reason can be marked stuck too: it is stopped at once.
func TestPool_MarkStuckStopsADrainingWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 2
		c := &crew{linger: 2 * time.Second}
		p := startReady(t, s, c)
		w := c.last()
		stuck, too := p.claim("GET /stuck"), p.claim("GET /too")
		p.Stop()
		time.Sleep(time.Second)
		too.MarkStuck(pool.ReasonRequestTimeout)
		stuck.MarkStuck(pool.ReasonRequestTimeout)
		time.Sleep(time.Second) // it is stopped before they are released
		stuck.Release()
		too.Release()
		<-p.done
		if _, at, _ := w.stopped(); at.Sub(p.began) != time.Second || w.dumps != 1 {
			t.Errorf("stopped at %v after %d stacks, want 1s, 1", at.Sub(p.began), w.dumps)
		}
		e := p.eventsOf(pool.WorkerExited)
		if len(e) != 1 || e[0].Reason != pool.ReasonStop || !slices.Equal(e[0].Running, []string{"GET /stuck", "GET /too"}) {
			t.Errorf("got %+v", e)
		}
	})
}

// The connection breaks a moment before the exit of the worker is known.
func TestPool_FailedWorkerGetsNoOtherClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 2
		c := &crew{}
		p := startReady(t, s, c)
		time.Sleep(time.Minute)
		poison, bystander := p.claim("GET /poison"), p.claim("GET /bystander")
		w := c.last()
		w.setMute(true)
		waiting := p.wait(t.Context(), "GET /")
		time.AfterFunc(50*time.Millisecond, w.crash)
		poison.Fail(true)
		if got := p.elapsed(); got != time.Minute+50*time.Millisecond {
			t.Errorf("returned after %v", got)
		}
		if got := p.served(waiting).Worker(); got == pool.Worker(w) {
			t.Error("the dead worker got another request")
		}
		bystander.Fail(true)
		synctest.Wait()
		e := p.eventsOf(pool.WorkerExited)
		if len(e) != 1 || e[0].Reason != pool.ReasonCrash {
			t.Fatalf("got %+v, want one crash", e)
		}
		running := slices.Sorted(slices.Values(e[0].Running))
		if !slices.Equal(running, []string{"GET /bystander", "GET /poison"}) {
			t.Errorf("got %q running when it died", running)
		}
	})
}

// If the worker exits late, the event still names the last requests that failed.
func TestPool_ExitSeenLateNamesItsRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 10
		c := &crew{}
		p := startReady(t, s, c)
		var failing sync.WaitGroup
		for i := range 10 {
			c := p.claim(fmt.Sprintf("GET /%d", i))
			failing.Go(func() { c.Fail(true) })
		}
		failing.Wait()
		time.Sleep(time.Second)
		c.last().crash()
		synctest.Wait()
		if e := p.eventsOf(pool.WorkerExited); len(e) != 1 || len(e[0].Running) != 8 {
			t.Errorf("got %+v, want one end with the last eight", e)
		}
	})
}

// A worker has exited, but its goroutine has not noticed yet.
func TestPool_DeadWorkerIsNotClaimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		time.Sleep(time.Minute)
		for range 100 {
			held := p.claim("GET /")
			held.Release()
			dead := held.Worker().(*fake)
			dead.crash()
			if c := p.claim("GET /"); c.Worker() == pool.Worker(dead) {
				t.Fatal("got a dead worker")
			} else {
				c.Release()
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestPool_FailedRequestOfALiveWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		for i := range 20 {
			p.claim(fmt.Sprintf("GET /%d", i)).Fail(true)
		}
		if got := p.elapsed(); got != 0 {
			t.Errorf("took %v, want no time: it answers probes", got)
		}
		held := p.claim("GET /")
		if held.Worker() != pool.Worker(c.last()) || c.launched() != 1 {
			t.Error("the live worker was replaced")
		}
		held.Release()
		time.Sleep(time.Minute)
		c.last().crash()
		synctest.Wait()
		if e := p.eventsOf(pool.WorkerExited); len(e) != 1 || len(e[0].Running) > 0 {
			t.Errorf("got %+v, want an end with nothing running: that was a minute ago", e)
		}
	})
}

func TestPool_EventsOfAWholeLife(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second, fail: failing(2)}
		p := start(t, fixed(1), c)
		time.Sleep(5 * time.Second)
		for range 3 {
			p.claim("GET /").Release()
		}
		p.claim("GET /last")
		c.last().crash()
		synctest.Wait()
		p.Stop()
		synctest.Wait()
		if len(p.events) != 3 {
			t.Fatalf("got %d events, want 3: %+v", len(p.events), p.events)
		}
		failed, ready, exited := p.events[0], p.events[1], p.events[2]
		if failed.Kind != pool.WorkerFailed || failed.Err == nil || failed.Reason != pool.ReasonCrash || failed.Worker != nil || failed.Age != time.Second {
			t.Errorf("got %+v", failed)
		}
		if ready.Kind != pool.WorkerReady || ready.Worker != pool.Worker(c.last()) || ready.Age != time.Second || ready.Generation != 1 {
			t.Errorf("got %+v", ready)
		}
		if exited.Kind != pool.WorkerExited || exited.Worker != pool.Worker(c.last()) || exited.Age != 3900*time.Millisecond ||
			exited.Requests != 3 || exited.Reason != pool.ReasonCrash || !slices.Equal(exited.Running, []string{"GET /last"}) {
			t.Errorf("got %+v", exited)
		}
		for _, e := range p.events {
			if e.ID != "shop/1" || e.Time.IsZero() {
				t.Errorf("got %+v", e)
			}
		}
		if got := p.Status(); got.Restarts != 1 || got.Served != 3 {
			t.Errorf("got %d restarts, %d served", got.Restarts, got.Served)
		}
	})
}
