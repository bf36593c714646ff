package pool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_ClaimTakesTheLeastBusyThenTheLastUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(3)
		s.Threads = 2
		p := startReady(t, s, &crew{})
		got := func(want string) *pool.Claim {
			t.Helper()
			time.Sleep(time.Second)
			c := p.claim("GET /")
			if c.ID() != want {
				t.Fatalf("got %s, want %s", c.ID(), want)
			}
			return c
		}
		got("shop/1")
		second, third := got("shop/2"), got("shop/3")
		third.Release()
		time.Sleep(time.Second)
		second.Release()
		got("shop/2").Release() // it was used last
		third = got("shop/2")
		got("shop/3") // idle
		time.Sleep(time.Second)
		third.Release()
		got("shop/2") // the only idle one
		if err := p.Scale(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		got("shop/4") // new, but idle
	})
}

func TestPool_ClaimPrefersAWarmWorkerToANewOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		time.Sleep(time.Second)
		first, second := p.claim("GET /"), p.claim("GET /")
		first.Release()
		time.Sleep(time.Second)
		second.Release()
		time.Sleep(time.Second)
		if err := p.Scale(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if c := p.claim("GET /"); c.ID() != "shop/2" {
			t.Errorf("got %s, want shop/2", c.ID())
		}
	})
}

func TestPool_QueueServesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		held := p.claim("GET /0")
		var waiting []<-chan outcome
		for i := range 5 {
			waiting = append(waiting, p.wait(t.Context(), fmt.Sprintf("GET /%d", i+1)))
		}
		for i, next := range waiting {
			if n := p.Status().Queued; n != 5-i {
				t.Fatalf("got %d queued, want %d", n, 5-i)
			}
			held.Release()
			synctest.Wait()
			for j, other := range waiting[i+1:] {
				if len(other) > 0 {
					t.Fatalf("request %d was served before request %d", i+1+j, i)
				}
			}
			held = p.served(next)
		}
		held.Release()
	})
}

func TestPool_BacklogIsExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Backlog = 3
		p := startReady(t, s, &crew{})
		held := p.claim("GET /")
		first := p.wait(t.Context(), "GET /1")
		p.wait(t.Context(), "GET /2")
		p.wait(t.Context(), "GET /3")
		refused := p.wait(t.Context(), "GET /4")
		if o := <-refused; !errors.Is(o.err, pool.ErrBacklog) || o.after != 0 {
			t.Fatalf("got %v after %v, want ErrBacklog at once", o.err, o.after)
		}
		held.Release()
		p.served(first)
		if out := p.wait(t.Context(), "GET /5"); len(out) > 0 {
			t.Fatalf("got %v, want a place in the queue", (<-out).err)
		}
		if got := p.Status(); got.Queued != 3 || got.Refused != 1 || got.Active != 1 {
			t.Errorf("got %d queued, %d refused, %d active, want 3, 1, 1", got.Queued, got.Refused, got.Active)
		}
	})
}

func TestPool_QueueTimeoutIsExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.QueueTimeout = 3 * time.Second
		p := startReady(t, s, &crew{})
		held := p.claim("GET /slow")
		o := <-p.wait(t.Context(), "GET /")
		if !errors.Is(o.err, pool.ErrQueueTimeout) || o.after != 3*time.Second {
			t.Fatalf("got %v after %v, want ErrQueueTimeout after 3s", o.err, o.after)
		}
		if got := p.Status(); got.Queued != 0 || got.Refused != 1 {
			t.Errorf("got %d queued, %d refused, want 0, 1", got.Queued, got.Refused)
		}
		held.Release()
		p.claim("GET /").Release()
	})
}

func TestPool_ClientGoneLeavesTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		held := p.claim("GET /slow")
		gone := errors.New("client gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		first, second := p.wait(ctx, "GET /1"), p.wait(t.Context(), "GET /2")
		time.Sleep(time.Second)
		cancel(gone)
		if o := <-first; !errors.Is(o.err, gone) || o.after != time.Second {
			t.Fatalf("got %v after %v, want %v after 1s", o.err, o.after, gone)
		}
		held.Release()
		p.served(second).Release()
	})
}

// A request that gets a worker at the moment its time is over either has the worker or
// does not; the worker is never lost.
func TestPool_WorkerGivenAtTheLastMomentIsNotLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.QueueTimeout = time.Second
		p := startReady(t, s, &crew{})
		var got, missed int
		for range 500 {
			held := p.claim("GET /slow")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			waiting := p.wait(ctx, "GET /")
			time.Sleep(time.Second)
			held.Release()
			o := <-waiting
			cancel()
			if o.err == nil {
				got++
				o.claim.Release()
			} else {
				missed++
			}
		}
		if st := p.Status(); st.Active != 0 || st.Queued != 0 || st.Served != int64(500+got) || st.Refused != int64(missed) {
			t.Errorf("got %d active, %d queued, %d served, %d refused; %d and %d were given and missed",
				st.Active, st.Queued, st.Served, st.Refused, got, missed)
		}
		p.claim("GET /")
	})
}

func TestPool_WorkerTakesNoMoreThanItsThreads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(2)
		s.Threads = 3
		p := startReady(t, s, &crew{})
		took := map[string]int{}
		for range 6 {
			took[p.claim("GET /").ID()]++
		}
		if took["shop/1"] != 3 || took["shop/2"] != 3 {
			t.Fatalf("got %v, want 3 each", took)
		}
		waiting := p.wait(t.Context(), "GET /")
		if len(waiting) > 0 {
			t.Fatal("a seventh request was taken")
		}
		s.Threads = 4
		p.Apply(s)
		if got := p.served(waiting).ID(); took[got] != 3 {
			t.Errorf("got %s", got)
		}
	})
}

func TestPool_ClaimWaitsWhileTheFirstWorkerStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(2), &crew{delay: 4 * time.Second})
		waiting := p.wait(t.Context(), "GET /")
		if got := p.Status().State; got != pool.SiteStarting {
			t.Errorf("got state %s, want starting", got)
		}
		if o := <-waiting; o.err != nil || o.after != 4*time.Second {
			t.Errorf("got %v after %v, want a worker after 4s", o.err, o.after)
		}
	})
}

// A request whose worker died precedes those that came after it, and is not refused
// because the queue is full.
func TestPool_RetryIsNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Backlog = 1
		p := startReady(t, s, &crew{})
		failed := p.claim("GET /again")
		failed.Fail(true)
		held := p.claim("GET /held")
		waiting := p.wait(t.Context(), "GET /waiting")
		again := make(chan *pool.Claim)
		go func() {
			c, err := failed.Retry(t.Context())
			if err != nil {
				t.Error(err)
			}
			again <- c
		}()
		synctest.Wait()
		held.Release()
		synctest.Wait()
		select {
		case c := <-again:
			c.Release()
		default:
			t.Fatal("it is not the next one")
		}
		p.served(waiting).Release()
	})
}
