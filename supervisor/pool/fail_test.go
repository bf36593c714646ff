package pool_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// again asks once more for a claim that was broken, and must not wait.
func (r *site) again(c *pool.Claim) *pool.Claim {
	r.t.Helper()
	next, err := c.Retry(r.t.Context())
	if err != nil {
		r.t.Fatalf("again: %v", err)
	}
	return next
}

// waitAgain is wait for a claim that was broken.
func (r *site) waitAgain(c *pool.Claim) <-chan outcome {
	out := make(chan outcome, 1)
	began := time.Now()
	go func() {
		next, err := c.Retry(r.t.Context())
		out <- outcome{next, err, time.Since(began)}
	}()
	synctest.Wait()
	return out
}

// die ends the worker of a claim, which breaks of that.
func (r *site) die(c *pool.Claim) {
	c.Worker().(*fake).crash()
	c.Fail(true)
	synctest.Wait()
}

func TestPool_AgainIsNotForTheSameWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(2), &crew{})
		broken := p.claim("GET /")
		broken.Fail(false) // it lives, and was used last
		next := p.again(broken)
		if next.ID() == broken.ID() {
			t.Fatal("got the worker that it broke on, and another one was free")
		}
		waiting, other := p.waitAgain(broken), p.claim("GET /other") // which passes it
		if len(waiting) > 0 || other.ID() != broken.ID() {
			t.Fatalf("%d settled, and %s for another request", len(waiting), other.ID())
		}
		other.Release()
		synctest.Wait()
		if len(waiting) > 0 {
			t.Fatal("got the worker that it broke on, and another one was busy")
		}
		next.Release()
		if got := p.served(waiting); got.ID() != next.ID() {
			t.Errorf("got %s", got.ID())
		}
	})
}

func TestPool_AgainIsForTheOnlyWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(1), &crew{})
		broken := p.claim("GET /")
		broken.Fail(true)
		p.again(broken).Release()
	})
}

// A worker that refused a request gets no other one, until it is known what it does.
func TestPool_WorkerInDoubtIsNotClaimed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(2), &crew{})
		broken := p.claim("POST /1")
		w := broken.Worker().(*fake)
		w.setMute(true)
		broken.Fail(false)
		if got := p.elapsed(); got != time.Second {
			t.Errorf("the request was held up for %v, want 1s", got)
		}
		held := p.claim("POST /2")
		if held.ID() == broken.ID() {
			t.Fatal("the worker that has just refused one gets the next")
		}
		waiting := p.wait(t.Context(), "POST /3")
		time.Sleep(5 * time.Second)
		if len(waiting) > 0 {
			t.Fatal("it gets one though it does not answer")
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
		p := settled(t, fixed(1), c)
		broken := p.claim("GET /")
		c.last().setMute(true)
		broken.Fail(false)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if e := p.told(pool.WorkerExited); len(e) != 1 || e[0].Reason != pool.ReasonUnreachable || len(e[0].Running) > 0 {
			t.Fatalf("got %+v, want one end: unreachable", e)
		}
		p.claim("GET /").Release()
	})
}

func TestPool_DeadlyRequestIsRememberedAndRiskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(3), &crew{})
		first := p.claim("GET /poison")
		p.die(first)
		second := p.again(first)
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
		p.again(other).Release()
		time.Sleep(31 * time.Second)
		late := p.claim("GET /poison")
		p.die(late)
		p.again(late).Release()
	})
}

// Two of a name that each broke on one worker, which others may have ended, are no
// reason to repeat a third one less.
func TestPool_RequestsOfOneNameAreCountedApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(2), &crew{})
		for range 5 {
			c := p.claim("GET /")
			p.die(c)
			p.again(c).Release()
			time.Sleep(time.Second)
		}
	})
}

// What never reached a worker did not end it.
func TestPool_RefusedRequestIsNotDeadly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(1), &crew{})
		time.Sleep(time.Minute)
		c := p.claim("POST /")
		for range 5 {
			c.Worker().(*fake).crash()
			c.Fail(false)
			synctest.Wait()
			time.Sleep(time.Second)
			c = p.again(c)
		}
		for _, e := range p.told(pool.WorkerExited) {
			if len(e.Running) > 0 || e.Requests > 0 {
				t.Errorf("told of %v, %d requests", e.Running, e.Requests)
			}
		}
	})
}

// A worker that had no memory for a request needs no second one as a witness.
func TestPool_RequestThatTakesTooMuchMemoryIsNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(2)
		s.Threads = 2
		p := settled(t, s, &crew{})
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

// Of several requests nobody knows which it was.
func TestPool_RequestsBesideADeadlyOneAreNotRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Threads = 2
		p := settled(t, s, &crew{})
		for range 4 {
			poison, beside := p.claim("GET /poison"), p.claim("GET /")
			poison.Worker().(*fake).crash()
			poison.Fail(true)
			beside.Fail(true)
			synctest.Wait()
			time.Sleep(time.Second)
			p.again(beside).Release()
		}
	})
}

// A crash of a worker that serves is no failure to start: the site has another one at
// once. Where all that they do is to crash, it has them ten times a second.
func TestPool_CrashesAreMadeGoodAtOnceAndThenAtARate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := settled(t, fixed(2), &crew{})
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
