package pool_test

import (
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// wantWorker checks what status tells of the only worker: its state, how long it has been
// in it, and how long each of its requests runs.
func wantWorker(t *testing.T, p *site, state string, since time.Duration, running map[string]time.Duration) {
	t.Helper()
	w := p.Status().Workers[0]
	if w.State != state || time.Since(w.Since) != since || len(w.Running) != len(running) || w.Active != len(running) {
		t.Errorf("got %+v, in its state for %v, want %s for %v with %v", w, time.Since(w.Since), state, since, running)
	}
	for _, r := range w.Running {
		if want, known := running[r.What]; !known || time.Since(r.Since) != want {
			t.Errorf("got %s for %v, want %v", r.What, time.Since(r.Since), running)
		}
	}
}

func TestPool_StatusOfAWorker(t *testing.T) {
	t.Run("one thread", func(t *testing.T) { statusOfAWorker(t, 1) })
	t.Run("two threads", func(t *testing.T) { statusOfAWorker(t, 2) })
}

func statusOfAWorker(t *testing.T, threads int) {
	bubble(t, func(t *testing.T) {
		s := fixed(1)
		p := startReady(t, s, &crew{threads: threads, linger: time.Minute})
		time.Sleep(time.Second)
		wantWorker(t, p, "ready", time.Second, nil)
		one := p.claim("GET /one")
		time.Sleep(time.Second)
		running := map[string]time.Duration{"GET /one": 2 * time.Second}
		var two *pool.Claim
		if threads == 2 {
			two, running["GET /two"] = p.claim("GET /two"), time.Second
		}
		time.Sleep(time.Second)
		wantWorker(t, p, "busy", 2*time.Second, running)
		one.Release()
		if two != nil {
			wantWorker(t, p, "busy", time.Second, map[string]time.Duration{"GET /two": time.Second})
			two.Release()
		}
		time.Sleep(3 * time.Second)
		wantWorker(t, p, "ready", 3*time.Second, nil)
		last := p.claim("GET /last")
		p.Stop()
		time.Sleep(time.Second)
		wantWorker(t, p, "draining", time.Second, map[string]time.Duration{"GET /last": time.Second})
		last.MarkStuck(pool.ReasonRequestTimeout)
		time.Sleep(4 * time.Second)
		wantWorker(t, p, "stuck", 4*time.Second, map[string]time.Duration{"GET /last": 5 * time.Second})
		last.Release()
	})
}
