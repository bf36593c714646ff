package pool_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// asked is a claim that nobody waits for. It counts the calls of notify.
type asked struct {
	*pool.Claim
	times atomic.Int32
}

func (r *site) ask(what string) *asked {
	r.t.Helper()
	a := &asked{}
	var err error
	if a.Claim, err = r.Ask(what, func() { a.times.Add(1) }); err != nil {
		r.t.Fatalf("ask for %s: %v", what, err)
	}
	return a
}

// take returns the error of Wait, which must not have waited.
func (a *asked) take(t *testing.T) error {
	t.Helper()
	began := time.Now()
	c, err := a.Wait(t.Context())
	if waited := time.Since(began); waited != 0 {
		t.Errorf("waited %v, want no time", waited)
	}
	if err == nil && c != a.Claim {
		t.Error("got another claim")
	}
	return err
}

func (a *asked) wantNotified(t *testing.T, times int32) {
	t.Helper()
	synctest.Wait()
	if got := a.times.Load(); got != times || a.Resolved() != (times > 0) {
		t.Fatalf("notified %d times, resolved %v, want %d times", got, a.Resolved(), times)
	}
}

func TestPool_AskIsResolvedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		a := p.ask("GET /")
		if !a.Resolved() || a.times.Load() != 0 {
			t.Fatalf("resolved %v, notified %d times, want it resolved and not notified", a.Resolved(), a.times.Load())
		}
		if err := a.take(t); err != nil || a.ID() != "shop/1" {
			t.Fatalf("got %v of %s, want shop/1", err, a.ID())
		}
		if st := p.Status(); st.Active != 1 {
			t.Errorf("got %d active, want 1", st.Active)
		}
		a.Release()
		if st := p.Status(); st.Active != 0 || st.Served != 1 || a.times.Load() != 0 {
			t.Errorf("got %d active, %d served, notified %d times", st.Active, st.Served, a.times.Load())
		}
	})
}

func TestPool_AskNotifiesOnceInItsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		held := p.claim("GET /slow")
		first, waiting, last := p.ask("GET /1"), p.wait(t.Context(), "GET /2"), p.ask("GET /3")
		first.wantNotified(t, 0)
		if got := p.Status().Queued; got != 3 {
			t.Fatalf("got %d queued, want 3", got)
		}
		held.Release()
		first.wantNotified(t, 1)
		if err := first.take(t); err != nil || len(waiting) > 0 {
			t.Fatalf("got %v, want the worker before those who came later", err)
		}
		first.Release()
		p.served(waiting).Release()
		last.wantNotified(t, 1)
		if err := last.take(t); err != nil {
			t.Fatal(err)
		}
		last.Release()
		first.wantNotified(t, 1)
		last.wantNotified(t, 1)
	})
}

// TestPool_AskNotifiesOfANewWorker: a claim on a site without a ready worker is resolved
// when the first one is ready.
func TestPool_AskNotifiesOfANewWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(1), &crew{delay: 4 * time.Second})
		a := p.ask("GET /")
		a.wantNotified(t, 0)
		time.Sleep(4 * time.Second)
		a.wantNotified(t, 1)
		if err := a.take(t); err != nil {
			t.Fatal(err)
		}
		a.Release()
	})
}

func TestPool_AskIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		s.Backlog = 1
		p := startReady(t, s, &crew{})
		held, waiting := p.claim("GET /slow"), p.ask("GET /1")
		if _, err := p.Ask("GET /2", func() { t.Error("notified of a refused claim") }); !errors.Is(err, pool.ErrBacklog) {
			t.Fatalf("got %v, want %v", err, pool.ErrBacklog)
		}
		p.Stop()
		waiting.wantNotified(t, 1)
		if err := waiting.take(t); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, want %v", err, pool.ErrStopped)
		}
		if _, err := p.Ask("GET /3", nil); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, want %v", err, pool.ErrStopped)
		}
		held.Release()
		waiting.wantNotified(t, 1)
		if got := p.Status().Refused; got != 3 {
			t.Errorf("got %d refused, want 3", got)
		}
	})
}

// TestPool_QueueTimeoutCountsFromAsk: it does not matter when the call of Wait begins.
func TestPool_QueueTimeoutCountsFromAsk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, before := range []time.Duration{0, time.Second, 3 * time.Second, 5 * time.Second} {
			s := fixed(1)
			s.QueueTimeout = 3 * time.Second
			p := startReady(t, s, &crew{})
			held := p.claim("GET /slow")
			a, began := p.ask("GET /"), time.Now()
			time.Sleep(before)
			_, err := a.Wait(t.Context())
			if took := time.Since(began); !errors.Is(err, pool.ErrQueueTimeout) || took != max(before, s.QueueTimeout) {
				t.Errorf("waited for after %v: got %v after %v, want %v after %v", before, err, took, pool.ErrQueueTimeout, s.QueueTimeout)
			}
			held.Release()
			synctest.Wait()
			if st := p.Status(); a.times.Load() != 0 || st.Queued != 0 || st.Active != 0 || st.Refused != 1 {
				t.Errorf("notified %d times; %d queued, %d active, %d refused", a.times.Load(), st.Queued, st.Active, st.Refused)
			}
		}
	})
}

// TestPool_AskIsGivenUp: the front door does this for a client that has left.
func TestPool_AskIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		held, a, next := p.claim("GET /slow"), p.ask("GET /1"), p.ask("GET /2")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Wait(gone); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want %v", err, context.Canceled)
		}
		held.Release()
		next.wantNotified(t, 1)
		if a.times.Load() != 0 {
			t.Error("notified of a worker after all")
		}
		if err := next.take(t); err != nil {
			t.Fatal(err)
		}
		next.Release()
	})
}
