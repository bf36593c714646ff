package pool

import "time"

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// stable is how long a worker must live, or a site go without a failure before
	// it starts one, for the next failure to count as the first.
	stable = time.Second
)

// trouble counts failures in a row, so that a site that can not run is tried
// ever less often, but never given up. The pool's mutex protects it.
type trouble struct {
	failures int
	last     time.Time
	retry    time.Time // no launch before
	broken   error     // why the last launch failed; nil once one succeeded
}

func (t *trouble) launchFailed(err error, started, now time.Time) {
	t.broken = err
	t.count(started, now)
}

// crashed records the death of a worker.
func (t *trouble) crashed(started, ready, now time.Time) {
	if now.Sub(ready) < stable {
		t.count(started, now)
	}
}

// count records the failure of a worker that was started at the given time.
// Those that were started together and fail together failed once.
func (t *trouble) count(started, now time.Time) {
	if t.failures > 0 && !started.After(t.last) {
		return
	}
	if started.Sub(t.last) > max(stable, 2*t.backoff()) {
		t.failures = 0
	}
	t.failures++
	t.last = now
	t.retry = now.Add(t.backoff())
}

// backoff is 0.1 s after the first failure and doubles up to 30 s.
func (t *trouble) backoff() time.Duration {
	if t.failures == 0 {
		return 0
	}
	return min(firstBackoff<<min(t.failures-1, 20), lastBackoff)
}
