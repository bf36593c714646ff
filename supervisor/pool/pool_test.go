package pool_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// bubble runs a test with a fake clock.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// fixed returns settings for a fixed number of workers with one thread.
func fixed(n int) pool.Settings { return between(n, n) }

func between(least, most int) pool.Settings {
	return pool.Settings{
		Min: least, Max: most, Threads: 1, Backlog: 100,
		QueueTimeout: 45 * time.Second, GracefulTimeout: 15 * time.Second, ShutdownTimeout: 5 * time.Second,
	}
}

// site is a running pool and the events that it has reported.
type site struct {
	*pool.Pool
	t      testing.TB
	began  time.Time
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned

	mu     sync.Mutex // protects all below
	events []pool.Event
	watch  func(pool.Event)
}

// start runs a pool until the end of the test.
func start(t testing.TB, s pool.Settings, l pool.Launcher) *site {
	t.Helper()
	return run(t, pool.Options{Settings: s, Launcher: l})
}

func run(t testing.TB, o pool.Options) *site {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &site{t: t, began: time.Now(), cancel: cancel, done: make(chan struct{})}
	o.Site, o.Observe = "shop", r.observe
	r.Pool = pool.New(o)
	go func() {
		defer close(r.done)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// startReady is start, but returns when all workers are ready.
func startReady(t testing.TB, s pool.Settings, l pool.Launcher) *site {
	t.Helper()
	r := start(t, s, l)
	if err := r.AwaitTarget(t.Context()); err != nil {
		t.Fatalf("await the target: %v", err)
	}
	return r
}

func (r *site) observe(e pool.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	watch := r.watch
	r.mu.Unlock()
	if watch != nil {
		watch(e)
	}
}

// onEvent makes observe call f after every event from now on.
func (r *site) onEvent(f func(pool.Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch = f
}

// eventsOf returns the events of one kind.
func (r *site) eventsOf(kind pool.EventKind) []pool.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.events), func(e pool.Event) bool { return e.Kind != kind })
}

func (r *site) claim(what string) *pool.Claim {
	r.t.Helper()
	began := time.Now()
	c, err := r.Claim(r.t.Context(), what)
	if err != nil {
		r.t.Fatalf("claim for %s: %v", what, err)
	}
	if waited := time.Since(began); waited != 0 {
		r.t.Fatalf("claim for %s waited %v", what, waited)
	}
	return c
}

// outcome is how the wait for a worker ended.
type outcome struct {
	claim *pool.Claim
	err   error
	after time.Duration
}

// wait claims in the background and returns when the claim is in the queue or resolved.
func (r *site) wait(ctx context.Context, what string) <-chan outcome {
	out := make(chan outcome, 1)
	began := time.Now()
	go func() {
		c, err := r.Claim(ctx, what)
		out <- outcome{c, err, time.Since(began)}
	}()
	synctest.Wait()
	return out
}

// served returns the claim when a request that waits has got its worker.
func (r *site) served(out <-chan outcome) *pool.Claim {
	r.t.Helper()
	o := <-out
	if o.err != nil {
		r.t.Fatalf("wait for a worker: %v", o.err)
	}
	return o.claim
}

// workers returns the workers that are ready, by their names.
func (r *site) workers() map[string]pool.Worker {
	all := make(map[string]pool.Worker)
	for _, w := range r.Status().Workers {
		if w.State == "ready" || w.State == "busy" {
			all[w.ID] = w.Worker
		}
	}
	return all
}

// ids returns the names of all workers in the order of status.
func (r *site) ids() []string {
	var all []string
	for _, w := range r.Status().Workers {
		all = append(all, w.ID)
	}
	return all
}

// elapsed returns for how long the pool has been running.
func (r *site) elapsed() time.Duration { return time.Since(r.began) }
