package pool_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// retry retries a failed claim, which must succeed.
func (r *site) retry(c *pool.Claim) *pool.Claim {
	r.t.Helper()
	next, err := c.Retry(r.t.Context())
	if err != nil {
		r.t.Fatalf("retry: %v", err)
	}
	return next
}

// waitRetry is wait for the retry of a failed claim.
func (r *site) waitRetry(c *pool.Claim) <-chan outcome {
	out := make(chan outcome, 1)
	began := time.Now()
	go func() {
		next, err := c.Retry(r.t.Context())
		out <- outcome{next, err, time.Since(began)}
	}()
	synctest.Wait()
	return out
}

// die makes the worker of a claim exit, so that the claim fails.
func (r *site) die(c *pool.Claim) {
	c.Worker().(*fake).crash()
	c.Fail(true)
	synctest.Wait()
}

func TestPool_RetryAvoidsTheWorkerThatFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		failed := p.claim("GET /")
		failed.Fail(false) // it lives, and was used last
		next := p.retry(failed)
		if next.ID() == failed.ID() {
			t.Fatal("got the worker on which it failed, although another one was free")
		}
		waiting, other := p.waitRetry(failed), p.claim("GET /other") // which overtakes it
		if len(waiting) > 0 || other.ID() != failed.ID() {
			t.Fatalf("%d resolved, and %s for another request", len(waiting), other.ID())
		}
		other.Release()
		synctest.Wait()
		if len(waiting) > 0 {
			t.Fatal("got the worker on which it failed, although the site has another one")
		}
		next.Release()
		if got := p.served(waiting); got.ID() != next.ID() {
			t.Errorf("got %s", got.ID())
		}
	})
}

func TestPool_RetryTakesTheOnlyWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		failed := p.claim("GET /")
		failed.Fail(true)
		p.retry(failed).Release()
	})
}

// A worker on which a request failed gets no other one until it answers a probe.
func TestPool_SuspectWorkerIsNotClaimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		failed := p.claim("POST /1")
		w := failed.Worker().(*fake)
		w.setMute(true)
		failed.Fail(false)
		if got := p.elapsed(); got != time.Second {
			t.Errorf("the request was held up for %v, want 1s", got)
		}
		held := p.claim("POST /2")
		if held.ID() == failed.ID() {
			t.Fatal("the worker on which one has just failed gets the next")
		}
		waiting := p.wait(t.Context(), "POST /3")
		time.Sleep(5 * time.Second)
		if len(waiting) > 0 {
			t.Fatal("the worker gets one although it does not answer")
		}
		w.setMute(false)
		if got := p.served(waiting); got.Worker() != pool.Worker(w) {
			t.Errorf("got %s, want the one that answers again", got.ID())
		}
		if st := p.Status(); st.Restarts != 0 || st.Served != 0 || st.Active != 2 {
			t.Errorf("got %d restarts, %d served, %d active", st.Restarts, st.Served, st.Active)
		}
	})
}

func TestPool_UnreachableWorkerIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		failed := p.claim("GET /")
		c.last().setMute(true)
		failed.Fail(false)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if e := p.eventsOf(pool.WorkerExited); len(e) != 1 || e[0].Reason != pool.ReasonUnreachable || len(e[0].Running) > 0 {
			t.Fatalf("got %+v, want one end: unreachable", e)
		}
		p.claim("GET /").Release()
	})
}

func TestPool_DeadlyRequestIsRememberedAndTriedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(3), &crew{})
		first := p.claim("GET /poison")
		p.die(first)
		second := p.retry(first)
		p.die(second)
		if _, err := second.Retry(t.Context()); !errors.Is(err, pool.ErrDeadly) {
			t.Fatalf("after two workers: got %v, want %v", err, pool.ErrDeadly)
		}
		for range 3 { // each extends the time
			time.Sleep(29 * time.Second)
			third := p.claim("GET /poison")
			p.die(third)
			if _, err := third.Retry(t.Context()); !errors.Is(err, pool.ErrDeadly) {
				t.Fatalf("while it is remembered: got %v, want %v", err, pool.ErrDeadly)
			}
		}
		other := p.claim("GET /other")
		p.die(other)
		p.retry(other).Release()
		time.Sleep(31 * time.Second)
		late := p.claim("GET /poison")
		p.die(late)
		p.retry(late).Release()
	})
}

// Requests of one name that each fail on one worker do not make the name deadly: another
// request may have killed that worker.
func TestPool_RequestsOfOneNameAreCountedApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		for range 5 {
			c := p.claim("GET /")
			p.die(c)
			p.retry(c).Release()
			time.Sleep(time.Second)
		}
	})
}

// A request that never reached the worker did not kill it.
func TestPool_UnsentRequestIsNotDeadly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		time.Sleep(time.Minute)
		c := p.claim("POST /")
		for range 5 {
			c.Worker().(*fake).crash()
			c.Fail(false)
			synctest.Wait()
			time.Sleep(time.Second)
			c = p.retry(c)
		}
		for _, e := range p.eventsOf(pool.WorkerExited) {
			if len(e.Running) > 0 || e.Requests > 0 {
				t.Errorf("got %v running, %d requests", e.Running, e.Requests)
			}
		}
	})
}

// One worker that lacked memory for a request is enough: the next one would lack it too.
func TestPool_RequestThatTakesTooMuchMemoryIsNotRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(2)
		s.Threads = 2
		p := startReady(t, s, &crew{})
		p.claim("GET /a")
		p.claim("GET /b")
		big, beside := p.claim("GET /big"), p.claim("GET /beside")
		for _, c := range []*pool.Claim{big, beside} {
			c.Worker().(*fake).oom = true
			p.die(c)
			if _, err := c.Retry(t.Context()); !errors.Is(err, pool.ErrDeadly) {
				t.Errorf("got %v, want %v", err, pool.ErrDeadly)
			}
		}
	})
}

// If a worker ran several requests, it is not known which one it died of.
func TestPool_RequestsBesideADeadlyOneAreNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 2
		p := startReady(t, s, &crew{})
		for range 4 {
			poison, beside := p.claim("GET /poison"), p.claim("GET /")
			poison.Worker().(*fake).crash()
			poison.Fail(true)
			beside.Fail(true)
			synctest.Wait()
			time.Sleep(time.Second)
			p.retry(beside).Release()
		}
	})
}

// A crash of a worker that serves is no failure to start: it is replaced at once. If the
// workers do nothing but crash, they are replaced ten times a second.
func TestPool_CrashedWorkersAreReplacedAtOnceAndThenAtARate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		var at []time.Duration
		for range 20 {
			o := <-p.wait(t.Context(), "POST /poison")
			if o.err != nil {
				t.Fatal(o.err)
			}
			at = append(at, p.elapsed())
			o.claim.Worker().(*fake).crash()
			o.claim.Fail(true)
			synctest.Wait()
		}
		if at[9] != 0 || at[19] > time.Second {
			t.Errorf("workers at %v, want ten at once and the others within a second", at)
		}
		if gaps := at[10:]; slices.Max(gaps) == 0 {
			t.Error("nothing bounds the rate")
		}
	})
}
