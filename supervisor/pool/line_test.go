package pool_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// quick returns a pool of workers with one thread, whose requests so far took the given time.
func quick(t *testing.T, workers int, took time.Duration) *site {
	t.Helper()
	s := fixed(workers)
	s.Backlog = 8
	return worked(t, s, 200, took)
}

// worked returns a pool of workers with one thread after so many requests.
func worked(t *testing.T, s pool.Settings, requests int, took time.Duration) *site {
	t.Helper()
	p := startReady(t, s, &crew{threads: 1})
	for range requests {
		c := p.claim("GET /before")
		time.Sleep(took)
		c.Release()
	}
	return p
}

// wantFollower checks that the claim has a worker, and whether it is a follower there.
func (a *asked) wantFollower(t *testing.T, want bool) {
	t.Helper()
	if !a.Resolved() || a.IsFollower() != want {
		t.Fatalf("resolved %v, follower %v; want a worker, as a follower: %v", a.Resolved(), a.IsFollower(), want)
	}
}

func TestPool_FollowersOfAFastWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := quick(t, 1, 300*time.Microsecond)
		first := p.ask("GET /1")
		first.wantFollower(t, false)
		second, third := p.ask("GET /2"), p.ask("GET /3")
		second.wantFollower(t, true)
		third.wantFollower(t, true)
		if st := p.Status(); st.Active != 1 || st.Queued != 2 || st.Workers[0].Active != 1 {
			t.Errorf("got %d active, %d queued", st.Active, st.Queued)
		}
		first.Release()
		second.wantFollower(t, false)
		third.wantFollower(t, true)
		second.Release()
		third.Release()
		if st := p.Status(); st.Active != 0 || st.Queued != 0 || st.Served != 203 || third.times.Load() != 0 {
			t.Errorf("got %d active, %d queued, %d served", st.Active, st.Queued, st.Served)
		}
	})
}

// TestPool_NoFollower: a request follows none that would make it wait for long, and only
// if its caller does not wait and no other request waits.
func TestPool_NoFollower(t *testing.T) {
	for _, test := range []struct {
		name string
		took time.Duration
		ask  func(p *site) *asked
	}{
		{"of slow requests", 2 * time.Millisecond, func(p *site) *asked { return p.ask("GET /2") }},
		{"of one that takes long", 100 * time.Microsecond, func(p *site) *asked {
			time.Sleep(3 * time.Millisecond)
			return p.ask("GET /2")
		}},
		{"of two milliseconds' work", 600 * time.Microsecond, func(p *site) *asked {
			for range 3 {
				p.ask("GET /2").wantFollower(p.t.(*testing.T), true)
			}
			return p.ask("GET /3")
		}},
		{"whose caller waits", 100 * time.Microsecond, func(p *site) *asked {
			c, err := p.Ask("POST /", nil)
			if err != nil {
				p.t.Fatal(err)
			}
			return &asked{Claim: c}
		}},
		{"before one that waits", 100 * time.Microsecond, func(p *site) *asked {
			if _, err := p.Ask("POST /", nil); err != nil {
				p.t.Fatal(err)
			}
			return p.ask("GET /2")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := quick(t, 1, test.took)
				held := p.ask("GET /1")
				if a := test.ask(p); a.Resolved() {
					t.Error("got a worker that has a request")
				}
				held.Release()
				p.Stop()
			})
		})
	}
}

// TestPool_FollowersAreFew: even a fast worker has at most 16 requests before a follower.
func TestPool_FollowersAreFew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := worked(t, fixed(1), 200, time.Microsecond)
		first := p.ask("GET /first")
		for range 16 {
			p.ask("GET /behind").wantFollower(t, true)
		}
		if last := p.ask("GET /last"); last.Resolved() {
			t.Error("got a worker that has 17 requests")
		}
		first.Release()
		p.Stop()
	})
}

// TestPool_FollowerAfterTheFirstRequest: one request is enough to estimate the others.
func TestPool_FollowerAfterTheFirstRequest(t *testing.T) {
	for took, follows := range map[time.Duration]bool{100 * time.Microsecond: true, 2 * time.Millisecond: false} {
		t.Run(took.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := worked(t, fixed(1), 1, took)
				first, second := p.ask("GET /1"), p.ask("GET /2")
				if second.Resolved() != follows {
					t.Errorf("got a worker: %v, want %v", second.Resolved(), follows)
				}
				first.Release()
				second.Release()
			})
		})
	}
}

// TestPool_FollowerOnlyIfNoWorkerIsFree: an idle worker is preferred.
func TestPool_FollowerOnlyIfNoWorkerIsFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := quick(t, 2, 100*time.Microsecond)
		first, second := p.ask("GET /1"), p.ask("GET /2")
		second.wantFollower(t, false)
		third, fourth := p.ask("GET /3"), p.ask("GET /4")
		third.wantFollower(t, true)
		fourth.wantFollower(t, true)
		if first.ID() == second.ID() || third.ID() == fourth.ID() {
			t.Errorf("got %s, %s, %s, %s; want each worker twice", first.ID(), second.ID(), third.ID(), fourth.ID())
		}
		for _, a := range []*asked{first, second, third, fourth} {
			a.Release()
		}
	})
}

// TestPool_RequeueAsksAgain: the claim precedes all that wait, and then waits for a worker
// that is free.
func TestPool_RequeueAsksAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := quick(t, 2, 100*time.Microsecond)
		first, other := p.ask("GET /1"), p.ask("GET /other")
		second := p.ask("GET /2")
		second.wantFollower(t, true)
		time.Sleep(3 * time.Millisecond)
		waiting := p.ask("GET /waiting")
		waiting.wantNotified(t, 0)
		if err := second.Requeue(); err != nil || second.Resolved() || second.IsFollower() {
			t.Fatalf("got %v, resolved %v, follower %v; want a place in the queue", err, second.Resolved(), second.IsFollower())
		}
		if st := p.Status(); st.Active != 2 || st.Queued != 2 {
			t.Errorf("got %d active, %d queued, want 2 and 2", st.Active, st.Queued)
		}
		other.Release()
		second.wantNotified(t, 1)
		waiting.wantNotified(t, 1)
		second.wantFollower(t, false)
		waiting.wantFollower(t, true)
		if second.ID() != other.ID() || waiting.ID() != other.ID() {
			t.Errorf("got %s and %s, want %s, which became free", second.ID(), waiting.ID(), other.ID())
		}
		first.Release()
		second.Release()
		waiting.Release()
	})
}

func TestPool_RequeueOnADrainingWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := quick(t, 1, 100*time.Microsecond)
		first, second := p.ask("GET /1"), p.ask("GET /2")
		second.wantFollower(t, true)
		p.Stop()
		if err := second.Requeue(); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, want %v", err, pool.ErrStopped)
		}
		first.Release() // now the worker can exit, which the end of the test waits for
	})
}

// TestPool_FollowersCountAsWaiting: listen_backlog bounds both together.
func TestPool_FollowersCountAsWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := quick(t, 1, 50*time.Microsecond)
		all := []*asked{p.ask("GET /")}
		for range 8 {
			all = append(all, p.ask("GET /"))
		}
		if _, err := p.Ask("GET /", func() {}); !errors.Is(err, pool.ErrBacklog) {
			t.Errorf("got %v, want %v", err, pool.ErrBacklog)
		}
		for _, a := range all {
			a.Release()
		}
	})
}

// TestPool_ExitNamesWhatRan: neither its followers nor what was answered before.
func TestPool_ExitNamesWhatRan(t *testing.T) {
	for _, answered := range []bool{false, true} {
		t.Run(fmt.Sprint(answered), func(t *testing.T) { exitNames(t, answered) })
	}
}

func exitNames(t *testing.T, answered bool) {
	bubble(t, func(t *testing.T) {
		c := &crew{threads: 1}
		p := startReady(t, fixed(1), c)
		before := p.claim("GET /before")
		time.Sleep(100 * time.Microsecond)
		before.Release()
		first, second := p.ask("GET /1"), p.ask("GET /2")
		second.wantFollower(t, true)
		c.last().crash()
		synctest.Wait() // its exit is seen before its last answer
		failed, other, want := first, second, "GET /1"
		if answered {
			failed, other, want = second, first, "GET /2"
			first.Release()
		} else if err := second.Requeue(); err != nil {
			t.Error(err)
		}
		failed.Fail(true)
		synctest.Wait()
		if got := p.Status().LastExit.Running; len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %s", got, want)
		}
		if !answered {
			other.wantFollower(t, false) // its successor has started
			other.Release()
		}
	})
}

// TestPool_PrefersALineIfProcessorsAreCrowded: no further worker is woken, which would
// only take turns with the others.
func TestPool_PrefersALineIfProcessorsAreCrowded(t *testing.T) {
	for _, crowded := range []bool{true, false} {
		t.Run(fmt.Sprint(crowded), func(t *testing.T) {
			prefersLine(t, crowded)
		})
	}
}

func prefersLine(t *testing.T, crowded bool) {
	bubble(t, func(t *testing.T) {
		workers := 0
		p := run(t, pool.Options{Settings: fixed(3), Launcher: &crew{threads: 1}, Crowded: func(n int, _ time.Time) bool {
			workers = n
			return crowded && n > 1
		}})
		if err := p.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := p.claim("GET /before")
		time.Sleep(100 * time.Microsecond)
		before.Release()
		first, second := p.ask("GET /1"), p.ask("GET /2")
		second.wantFollower(t, false)
		third := p.ask("GET /3")
		third.wantFollower(t, crowded)
		if workers != 2 {
			t.Errorf("asked for %d workers, want the 2 that have a request", workers)
		}
		if crowded {
			p.claim("POST /").Release() // it cannot be a follower, and takes the third worker
		}
		for _, a := range []*asked{first, second, third} {
			a.Release()
		}
	})
}
