package pool_test

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// crew is a Launcher of fake workers, all of which it remembers.
type crew struct {
	delay  time.Duration       // how long a launch takes
	linger time.Duration       // how long a worker takes to exit after Stop
	deaf   bool                // launches ignore their context
	fail   func(nth int) error // nil: every launch succeeds

	threads int // of each worker; 0: as the settings say

	mu       sync.Mutex // protects all below
	launches []launch
	workers  []*fake
	starting int
	most     int // launches at once
}

type launch struct {
	id string
	at time.Time
}

func (c *crew) Threads() int { return c.threads }

func (c *crew) Launch(ctx context.Context, id string) (pool.Worker, error) {
	nth := c.begin(id)
	defer c.end()
	timer := time.NewTimer(c.delay)
	defer timer.Stop()
	done := ctx.Done()
	if c.deaf {
		done = nil
	}
	select {
	case <-timer.C:
	case <-done:
		return nil, context.Cause(ctx)
	}
	if c.fail != nil {
		if err := c.fail(nth); err != nil {
			return nil, err
		}
	}
	return c.hire(id, nth), nil
}

func (c *crew) begin(id string) (nth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.launches = append(c.launches, launch{id, time.Now()})
	c.starting++
	c.most = max(c.most, c.starting)
	return len(c.launches)
}

func (c *crew) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starting--
}

func (c *crew) hire(id string, nth int) *fake {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &fake{id: id, pid: nth, linger: c.linger, done: make(chan struct{})}
	c.workers = append(c.workers, w)
	return w
}

// times returns when each launch began, counted from since.
func (c *crew) times(since time.Time) []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []time.Duration
	for _, l := range c.launches {
		all = append(all, l.at.Sub(since))
	}
	return all
}

func (c *crew) launched() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.launches)
}

// last returns the worker launched last.
func (c *crew) last() *fake {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workers[len(c.workers)-1]
}

// fake is a worker that exits when Stop is called.
type fake struct {
	id      string
	pid     int
	linger  time.Duration
	done    chan struct{}
	ending  sync.Once
	onStop  func() // called by Stop first; may be nil
	oom     bool   // it exits for lack of memory
	crashes bool   // it crashes when Stop is called

	mu     sync.Mutex // protects all below
	dumps  int
	stops  int
	kills  int
	stopAt time.Time
	grace  time.Duration
	gone   time.Time
	mute   bool // it does not answer probes
}

func (w *fake) PID() int              { return w.pid }
func (w *fake) Done() <-chan struct{} { return w.done }
func (w *fake) OOM() bool             { return w.oom }

func (w *fake) Probe(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute || w.exited() {
		return syscall.ECONNREFUSED
	}
	return ctx.Err()
}

func (w *fake) setMute(mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = mute
}

func (w *fake) Crashed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crashes || w.stops == 0 && w.kills == 0
}

func (w *fake) DumpStack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dumps++
}

func (w *fake) Stop(grace time.Duration) {
	if w.onStop != nil {
		w.onStop()
	}
	w.mu.Lock()
	w.stops++
	w.stopAt, w.grace = time.Now(), grace
	w.mu.Unlock()
	timer := time.NewTimer(min(w.linger, grace))
	defer timer.Stop()
	select {
	case <-timer.C:
		w.crash()
	case <-w.done:
	}
}

func (w *fake) Kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills++
	time.AfterFunc(time.Second, w.crash) // the kernel takes its time
}

// crash makes the worker exit.
func (w *fake) crash() {
	w.ending.Do(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gone = time.Now()
		close(w.done)
	})
}

// exitedAt returns when the worker exited.
func (w *fake) exitedAt() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

func (w *fake) exited() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// stopped returns how often Stop was called, and when and with what grace the last time.
func (w *fake) stopped() (stops int, at time.Time, grace time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stops, w.stopAt, w.grace
}
