package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

const (
	loadThreads = 2
	loadTimeout = 150 * time.Millisecond
)

// watched is a worker that counts its claims.
type watched struct {
	*fake
	held  atomic.Int32 // claims, but for those that were marked stuck
	stuck atomic.Bool
}

// watchers launches watched workers.
type watchers struct {
	crew
	t testing.TB
}

func (l *watchers) Launch(ctx context.Context, id string) (pool.Worker, error) {
	w, err := l.crew.Launch(ctx, id)
	if err != nil {
		return nil, err
	}
	f := &watched{fake: w.(*fake)}
	f.onStop = func() {
		if n := f.held.Load(); n > 0 {
			l.t.Errorf("%s was stopped while it had %d requests", id, n)
		}
	}
	return f, nil
}

// load is requests that run while the pool is changed, and what became of them.
type load struct {
	site     *site
	done     chan struct{}
	clients  sync.WaitGroup
	served   atomic.Int64
	timeouts atomic.Int64
}

func (l *load) client(seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	for {
		select {
		case <-l.done:
			return
		default:
			l.request(rnd)
		}
	}
}

// request claims a worker, which must live and have no more requests than threads, or
// gets the error that applies.
func (l *load) request(rnd *rand.Rand) {
	began := time.Now()
	c, err := l.site.Claim(context.Background(), "GET /")
	waited := time.Since(began)
	switch {
	case errors.Is(err, pool.ErrQueueTimeout) && waited == loadTimeout:
		l.timeouts.Add(1)
		return
	case err != nil:
		l.site.t.Errorf("claim after %v: %v", waited, err)
		return
	}
	w := c.Worker().(*watched)
	if n := w.held.Add(1); n > loadThreads && !w.stuck.Load() {
		l.site.t.Errorf("%s has %d requests", c.ID(), n)
	}
	if w.exited() && w.exitedAt().Before(time.Now()) {
		l.site.t.Errorf("got %s, which has exited before", c.ID())
	}
	time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
	l.finish(c, w, rnd)
}

func (l *load) finish(c *pool.Claim, w *watched, rnd *rand.Rand) {
	defer l.served.Add(1)
	switch {
	case w.exited():
		w.held.Add(-1)
		c.Fail(true)
	case rnd.IntN(100) == 0:
		w.stuck.Store(true)
		w.held.Add(-1)
		c.MarkStuck(pool.ReasonRequestTimeout)
		c.Release()
	default:
		w.held.Add(-1)
		c.Release()
	}
}

// disturb does one thing to the pool that requests must not notice.
func (l *load) disturb(rnd *rand.Rand, launcher *watchers) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	switch rnd.IntN(6) {
	case 0:
		_ = l.site.Scale(ctx, 2+rnd.IntN(7)) // a backoff may outlast ctx
	case 1:
		_ = l.site.Roll(ctx, launcher, pool.ReasonReload, nil)
	case 2:
		bad := &crew{delay: 5 * time.Millisecond, fail: failing(never)}
		if err := l.site.Roll(ctx, bad, pool.ReasonReload, nil); err == nil {
			l.site.t.Error("a roll to workers that do not start succeeded")
		}
	case 3:
		for _, w := range l.site.workers() {
			w.(*watched).crash()
			break
		}
	case 4:
		roll, stop := context.WithTimeout(ctx, time.Duration(rnd.IntN(12))*time.Millisecond)
		_ = l.site.Roll(roll, launcher, pool.ReasonReload, nil) // cancelled at any point
		stop()
	case 5:
		time.Sleep(time.Duration(rnd.IntN(5000)) * time.Millisecond)
	}
}

// 16 clients send requests through 300 changes. At the end of the bubble every goroutine
// has returned.
func TestPool_LoadThroughScaleRollCrashAndStuck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		launcher := &watchers{crew: crew{delay: 3 * time.Millisecond, linger: 2 * time.Millisecond}, t: t}
		s := fixed(4)
		s.Threads, s.QueueTimeout, s.GracefulTimeout = loadThreads, loadTimeout, time.Hour
		l := &load{site: startReady(t, s, launcher), done: make(chan struct{})}
		for i := range uint64(16) {
			l.clients.Go(func() { l.client(i) })
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			l.disturb(rnd, launcher)
			time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
		}
		close(l.done)
		l.clients.Wait()
		l.checkIdle(t)
	})
}

// checkIdle checks that nothing is left of the load.
func (l *load) checkIdle(t *testing.T) {
	t.Helper()
	if err := l.site.AwaitTarget(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	got := l.site.Status()
	if got.Ready != got.Desired || len(got.Workers) != got.Desired || got.State != pool.SiteRunning {
		t.Errorf("got %s, %d of %d ready, %d workers", got.State, got.Ready, got.Desired, len(got.Workers))
	}
	if got.Active != 0 || got.Queued != 0 || got.Served != l.served.Load() || got.Refused != l.timeouts.Load() {
		t.Errorf("got %d active, %d queued, %d served of %d, %d refused of %d", got.Active, got.Queued,
			got.Served, l.served.Load(), got.Refused, l.timeouts.Load())
	}
	t.Logf("%d requests, %d timed out, %d workers crashed or stuck, generation %d, in %v",
		got.Served, got.Refused, got.Restarts, got.Generation, l.site.elapsed())
}
