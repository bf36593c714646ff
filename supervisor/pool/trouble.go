package pool

import "time"

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// stable is how long a worker must live, and how long a site must be without
	// a failure, for the next failure to count as the first.
	stable = 10 * time.Second
)

// trouble counts failures in a row, so that a site that can not run is tried
// ever less often, but never given up. The pool's mutex protects it.
type trouble struct {
	failures int
	last     time.Time
	retry    time.Time // no launch before
	broken   error     // why the last launch failed; nil once one succeeded
}

func (t *trouble) launchFailed(err error, now time.Time) {
	t.broken = err
	t.count(now)
}

// crashed records the death of a worker that was ready for the given time.
func (t *trouble) crashed(lived time.Duration, now time.Time) {
	if lived < stable {
		t.count(now)
	}
}

func (t *trouble) recovered() {
	t.broken = nil
	t.retry = time.Time{}
}

func (t *trouble) count(now time.Time) {
	if backoff := t.backoff(); t.failures > 0 && now.Sub(t.last) > max(stable, 2*backoff) {
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
