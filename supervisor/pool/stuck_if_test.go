package pool_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// overrun returns a site with one worker of three threads. One of its requests has
// overrun its time, was marked with MarkStuckIf and released; other still runs.
func overrun(t *testing.T, stuck func() bool) (*site, *crew, *pool.Claim) {
	s := fixed(1)
	s.Threads = 3
	c := &crew{linger: 2 * time.Second}
	p := startReady(t, s, c)
	late, other := p.claim("GET /late"), p.claim("GET /other")
	time.Sleep(3 * time.Second)
	late.MarkStuckIf(pool.ReasonRequestTimeout, stuck)
	late.Release()
	return p, c, other
}

func TestPool_MarkStuckIf_KeepsAWorkerThatGaveUpTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked time.Time
		p, c, other := overrun(t, func() bool { asked = time.Now(); return false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked.Sub(p.began) != 8*time.Second {
			t.Errorf("asked at %v, want 8s: 3s, and shutdown_timeout", asked.Sub(p.began))
		}
		if stops, _, _ := c.last().stopped(); stops != 0 || c.launched() != 1 || c.last().dumps != 0 {
			t.Errorf("got %d stops, %d launches, %d stacks", stops, c.launched(), c.last().dumps)
		}
		other.Release()
	})
}

func TestPool_MarkStuckIf_ReplacesAWorkerThatDidNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, other := overrun(t, func() bool { return true })
		old := c.last()
		time.Sleep(4 * time.Second)
		if c.launched() != 1 {
			t.Fatal("replaced before it had its time")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.launched() != 2 || old.dumps != 1 {
			t.Errorf("got %d launches, %d stacks, want another worker and one", c.launched(), old.dumps)
		}
		time.Sleep(4 * time.Second)
		if stops, _, _ := old.stopped(); stops != 0 {
			t.Error("stopped while another request was running")
		}
		other.Release()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		e := p.eventsOf(pool.WorkerExited)
		if len(e) != 1 || e[0].Reason != pool.ReasonRequestTimeout || !slices.Equal(e[0].Running, []string{"GET /late"}) {
			t.Errorf("got %+v, want one end for request_timeout with GET /late", e)
		}
		if got := p.Status().Restarts; got != 1 {
			t.Errorf("got %d restarts", got)
		}
	})
}

// A worker that exits anyway is not asked, and nothing waits for the answer.
func TestPool_MarkStuckIf_OfAWorkerThatExits(t *testing.T) {
	for name, end := range map[string]func(*site, *crew){
		"stopped": func(p *site, _ *crew) { p.Stop() },
		"dead":    func(_ *site, c *crew) { c.last().crash() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c, other := overrun(t, func() bool { t.Error("asked"); return true })
				other.Release()
				end(p, c)
				synctest.Wait()
				p.Stop()
				<-p.done
				if got := p.elapsed(); got > 5*time.Second {
					t.Errorf("ended after %v", got)
				}
				other.MarkStuckIf(pool.ReasonRequestTimeout, func() bool { t.Error("asked"); return true }) // too late
			})
		})
	}
}
