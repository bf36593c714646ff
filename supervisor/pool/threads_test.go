package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// takes returns how many requests the workers of the pool take at once.
func (r *site) takes() (n int) {
	r.t.Helper()
	var claims []*pool.Claim
	defer func() {
		for _, c := range claims {
			c.Release()
		}
	}()
	for {
		asked, err := r.Ask("GET /", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		claims = append(claims, asked)
		if !asked.Resolved() { // it waits, and gets a worker when the others are released
			return n
		}
		n++
	}
}

// TestPool_ThreadsAreThoseOfTheGeneration: an old worker never gets more requests than it
// has threads: during a trial, after a failed one, and during a roll.
func TestPool_ThreadsAreThoseOfTheGeneration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := &crew{threads: 1}
		s := fixed(2)
		p := startReady(t, s, old)
		s.Threads = 5
		p.Apply(s)
		rolled := make(chan error, 1)
		go func() {
			rolled <- p.Roll(t.Context(), &crew{threads: 5, delay: time.Minute, fail: failing(never)}, pool.ReasonReload, nil)
		}()
		synctest.Wait()
		if n := p.takes(); n != 2 {
			t.Errorf("during the trial: %d at once, want 2", n)
		}
		if err := <-rolled; !errors.Is(err, errImport) {
			t.Fatalf("got %v, want %v", err, errImport)
		}
		if n, st := p.takes(), p.Status(); n != 2 || st.Threads != 1 {
			t.Errorf("after it has failed: %d at once, status says %d for each, want 2 and 1", n, st.Threads)
		}
		old.last().crash() // the old launcher replaces it
		synctest.Wait()
		if err := p.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := p.takes(); n != 2 {
			t.Errorf("with a new worker of the old: %d at once, want 2", n)
		}
		if err := p.Roll(t.Context(), &crew{threads: 5}, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		if n, st := p.takes(), p.Status(); n != 10 || st.Threads != 5 {
			t.Errorf("after the roll: %d at once, status says %d for each, want 10 and 5", n, st.Threads)
		}
	})
}

func TestPool_HandsOverThreads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := startReady(t, fixed(2), &crew{threads: 1})
		old.Pause()
		s := fixed(2)
		s.Threads = 5
		next := handedOver(t, old, pool.Options{Settings: s, Launcher: &crew{threads: 5}})
		if n := next.takes(); n != 2 {
			t.Errorf("%d at once, want the 2 of before", n)
		}
		if err := next.Roll(t.Context(), &crew{threads: 5}, pool.ReasonReload, nil); err != nil {
			t.Fatal(err)
		}
		if n := next.takes(); n != 10 {
			t.Errorf("after a roll: %d at once, want 10", n)
		}
	})
}
