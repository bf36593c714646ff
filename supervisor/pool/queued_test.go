package pool_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestPool_HoldQueue: while the queue is held no request has a worker, and none is lost
// when it is let go, over and over under load.
func TestPool_HoldQueue(t *testing.T) {
	t.Parallel()
	s := fixed(3)
	s.Threads, s.Backlog = 2, 100
	p := startReady(t, s, &crew{})
	var inside, served atomic.Int64
	var held, ended atomic.Bool
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for !ended.Load() {
				c, err := p.Claim(context.Background(), "GET /")
				if err != nil {
					t.Errorf("refused: %v", err)
					return
				}
				if held.Load() {
					inside.Add(1)
				}
				served.Add(1)
				c.Release()
			}
		})
	}
	for range 300 {
		p.HoldQueue()
		if err := p.AwaitNoneRuns(t.Context()); err != nil {
			t.Error(err)
		}
		held.Store(true)
		before := served.Load()
		for p.Status().Queued < 16 { // all clients wait
			runtime.Gosched()
		}
		if st := p.Status(); st.Active > 0 {
			t.Errorf("%d run while the queue is held", st.Active)
		}
		held.Store(false)
		if n := p.LetQueueGo(); n != 16 {
			t.Errorf("%d requests have waited, want 16", n)
		}
		for served.Load() == before {
			runtime.Gosched()
		}
	}
	ended.Store(true)
	clients.Wait()
	if inside.Load() > 0 {
		t.Errorf("%d of %d ran while the queue was held", inside.Load(), served.Load())
	}
}
