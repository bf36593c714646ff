package pool

import "time"

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// stable is how long a worker must live, or a site go without a failure before
	// it starts one, for the next failure to count as the first.
	stable = time.Second

	// Workers that end of requests are replaced at once, but where none of them has
	// answered any: then so many, and from there on every crashPause.
	crashBurst = 10
	crashPause = 100 * time.Millisecond
)

// trouble counts failures in a row, so that a site that can not run is tried
// ever less often, but never given up. The pool's mutex protects it.
type trouble struct {
	failures int
	last     time.Time
	retry    time.Time // no launch before
	pace     time.Time // nor before this, which moves on by crashPause with each worker that only crashed
	broken   error     // why the last launch failed; nil once one succeeded
}

func (t *trouble) launchFailed(err error, started, now time.Time) {
	t.broken = err
	t.count(started, now)
}

// crashed records the death of a worker. It is a failure to start only where it never
// had a request: else the request may be to blame, and the others need a worker now.
func (t *trouble) crashed(m *member, now time.Time) {
	switch {
	case m.answered:
	case m.requests > 0 || m.ran > 0:
		t.fell(now)
	case now.Sub(m.ready) < stable:
		t.count(m.started, now)
	}
}

// fell records the death of a worker that has answered nothing that it was asked.
func (t *trouble) fell(now time.Time) {
	if t.pace.After(now) {
		return // its successor will come with the others
	}
	if earliest := now.Add(-crashBurst * crashPause); t.pace.Before(earliest) {
		t.pace = earliest
	}
	t.pace = t.pace.Add(crashPause)
}

// wait is how long nothing is to be launched.
func (t *trouble) wait(now time.Time) time.Duration { return max(t.retry.Sub(now), t.pace.Sub(now)) }

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
