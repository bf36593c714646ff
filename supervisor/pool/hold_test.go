package pool_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// TestPool_HoldsTakeNoThread: and requests go to the worker with the fewest.
func TestPool_HoldsTakeNoThread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		seen := map[string]int{}
		for range 4 {
			c := p.claim("GET /socket")
			seen[c.ID()]++
			c.Hold(func() {})
			c.Release()
		}
		if len(seen) != 2 || seen["shop/1"] != 2 {
			t.Errorf("the holds are of %v, want two of each worker", seen)
		}
		if s := p.Status(); s.Active != 0 || s.Workers[0].Holds != 2 || s.Workers[0].State != "ready" {
			t.Errorf("got %+v", s)
		}
		p.AwaitIdle(t.Context()) // they are no requests
		p.claim("GET /1").Release()
	})
}

// TestPool_HoldsEndAtGracefulTimeout: the worker is told when its requests have ended, and
// its holds are cut at the end of the same time.
func TestPool_HoldsEndAtGracefulTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{linger: time.Hour}
		p := startReady(t, fixed(1), c)
		socket := p.claim("GET /socket")
		cut := make(chan time.Duration, 2)
		socket.Hold(func() {
			cut <- time.Since(p.began)
			c.last().crash() // as a worker exits when its last connection has ended
		})
		ended := socket.Hold(func() { t.Error("a hold that has ended was cut") })
		p.Stop()
		time.Sleep(4 * time.Second)
		ended()
		socket.Release()
		<-p.done
		stops, at, grace := c.last().stopped()
		if stops != 1 || at.Sub(p.began) != 4*time.Second || grace != 16*time.Second {
			t.Errorf("got %d stops, at %v with grace %v, want 1 at 4s with 16s", stops, at.Sub(p.began), grace)
		}
		if at := <-cut; at != 15*time.Second || len(cut) > 0 {
			t.Errorf("cut at %v, %d times more, want once at 15s", at, len(cut))
		}
	})
}

// TestPool_HeldWorkersStay: inactivity_timeout does not end them, and a scale down ends
// others first.
func TestPool_HeldWorkersStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := between(0, 3)
		s.InactivityTimeout = time.Minute
		p := startReady(t, s, &crew{})
		var claims []*pool.Claim
		for range 3 {
			claims = append(claims, p.claim("GET /socket"))
		}
		last := claims[2]
		release := last.Hold(func() { t.Error("cut") })
		for _, c := range claims {
			c.Release()
		}
		wantOnly := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, w := range p.Status().Workers {
				got = append(got, w.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: the workers are %v, want %v", what, got, want)
			}
		}
		if err := p.Scale(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantOnly("after a scale down", last.ID())
		p.Apply(s)
		time.Sleep(time.Hour)
		wantOnly("after an hour", last.ID())
		release()
		time.Sleep(2 * time.Minute)
		wantOnly("without a hold")
	})
}
