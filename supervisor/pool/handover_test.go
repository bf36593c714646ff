package pool_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// handedOver lets another pool take over from old, as in the next image of the program:
// all but the workers themselves travels as JSON.
func handedOver(t *testing.T, old *site, o pool.Options) *site {
	t.Helper()
	left := old.HandOver()
	text, err := json.Marshal(left)
	if err != nil {
		t.Fatal(err)
	}
	o.Inherited = &pool.Handover{}
	if err := json.Unmarshal(text, o.Inherited); err != nil {
		t.Fatal(err)
	}
	for i, w := range left.Workers {
		o.Inherited.Workers[i].Worker = w.Worker
	}
	return run(t, o)
}

func TestPool_IsHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		s := fixed(3)
		s.MaximumRequests = 10
		old := startReady(t, s, c)
		for range 5 {
			old.claim("GET /").Release()
		}
		old.Pause()
		workers := old.workers()
		next := handedOver(t, old, pool.Options{Settings: s, Launcher: c})
		synctest.Wait()
		if c.launched() != 3 {
			t.Errorf("%d launches, want the 3 of before", c.launched())
		}
		for id, w := range next.workers() {
			if workers[id] != w {
				t.Errorf("worker %s is another one", id)
			}
		}
		st := next.Status()
		if st.State != pool.SiteRunning || st.Ready != 3 || st.Served != 5 || st.Workers[0].Requests+st.Workers[1].Requests+st.Workers[2].Requests != 5 {
			t.Errorf("got %+v, want 3 ready, 5 requests served", st)
		}
		for range 8 { // the one used last reaches maximum_requests, counting those before the handover
			next.claim("GET /").Release()
		}
		synctest.Wait()
		if e := next.eventsOf(pool.WorkerExited); len(e) != 1 || e[0].Reason != pool.ReasonMaximumRequests || e[0].Requests < 10 {
			t.Errorf("got %+v, want one end by maximum_requests", e)
		}
		if err := next.Roll(t.Context(), c, pool.ReasonRestart, nil); err != nil || next.Status().Generation != 2 {
			t.Errorf("roll: %v, generation %d", err, next.Status().Generation)
		}
	})
}

// TestPool_HandsOverWhatDrains: of three workers one has a request that nobody waits for
// any more, one crashes, and one drains already.
func TestPool_HandsOverWhatDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{linger: 3 * time.Second}
		old := startReady(t, fixed(3), c)
		old.claim("GET /endless")
		old.Apply(fixed(2))
		synctest.Wait() // the last of the idle ones drains
		old.Pause()
		next := handedOver(t, old, pool.Options{Settings: fixed(2), Launcher: c})
		for _, w := range next.Status().Workers {
			if w.State == "ready" {
				w.Worker.(*fake).crash()
			}
		}
		if err := next.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		reasons := map[pool.Reason]int{}
		for _, e := range next.eventsOf(pool.WorkerExited) {
			reasons[e.Reason]++
		}
		if len(reasons) != 3 || reasons[pool.ReasonScale] != 1 || reasons[pool.ReasonCrash] != 1 || reasons[pool.ReasonRestart] != 1 {
			t.Errorf("got the reasons %v, want scale, crash and restart", reasons)
		}
		if c.launched() != 5 {
			t.Errorf("%d launches, want 3 and two successors", c.launched())
		}
	})
}

func TestPool_PauseCancelsLaunches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Second}
		p := start(t, fixed(2), c)
		time.Sleep(500 * time.Millisecond)
		resume := p.Pause()
		time.Sleep(time.Minute)
		if st := p.Status(); c.launched() != 2 || len(st.Workers) != 0 || st.LastError != nil {
			t.Errorf("%d launches, %+v, want none after the pause, and no failure", c.launched(), st)
		}
		resume()
		if err := p.AwaitTarget(t.Context()); err != nil || p.Status().Ready != 2 {
			t.Errorf("after the pause: %v, %+v", err, p.Status())
		}
	})
}

func TestPool_HandsOverItsBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		missing := errors.New("no module named shop")
		c := &crew{fail: func(int) error { return missing }}
		old := start(t, fixed(1), c)
		time.Sleep(20 * time.Second)
		old.Pause()
		launched := c.launched()
		next := handedOver(t, old, pool.Options{Settings: fixed(1), Launcher: c})
		if _, err := next.Claim(t.Context(), "GET /"); err == nil || err.Error() != "the site does not start: no module named shop" {
			t.Errorf("got %v", err)
		}
		time.Sleep(5 * time.Second)
		if n := c.launched() - launched; n > 1 {
			t.Errorf("%d launches in 5 seconds, want it to wait as before", n)
		}
	})
}
