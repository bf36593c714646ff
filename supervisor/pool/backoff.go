package pool

import "time"

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// stable is how long a worker must live, or a site go without a failure before it
	// launches one, for the next failure to count as the first.
	stable = time.Second

	// Workers that crash while they run requests are replaced at once. If none of them
	// has answered any request, that holds for crashBurst of them, and from there on one
	// is replaced every crashPause.
	crashBurst = 10
	crashPause = 100 * time.Millisecond
)

// backoff counts failures in a row, so that a site that cannot run is tried ever less
// often, but is never given up. The pool's mutex protects it.
type backoff struct {
	failures  int
	last      time.Time // when the last one was
	retry     time.Time // nothing is launched before
	pace      time.Time // nor before this: crashPause later after each worker that crashed without an answer
	lastError error     // why the last launch failed; nil once one has succeeded
}

func (b *backoff) launchFailed(err error, started, now time.Time) {
	b.lastError = err
	b.countFailure(started, now)
}

// crashed records that a worker crashed. That is a failure to start only if the worker
// never had a request: otherwise the request may be to blame, and the others need a new
// worker now.
func (b *backoff) crashed(m *member, now time.Time) {
	switch {
	case m.answered:
	case m.requests > 0 || m.ran > 0:
		b.paceCrash(now)
	case now.Sub(m.ready) < stable:
		b.countFailure(m.started, now)
	}
}

// countFailure records the failure of a worker that was started at the given time.
// Workers that were started together and fail together count as one failure.
func (b *backoff) countFailure(started, now time.Time) {
	if b.failures > 0 && !started.After(b.last) {
		return
	}
	if started.Sub(b.last) > max(stable, 2*b.delay()) {
		b.failures = 0
	}
	b.failures++
	b.last = now
	b.retry = now.Add(b.delay())
}

// paceCrash records that a worker crashed that had requests and answered none.
func (b *backoff) paceCrash(now time.Time) {
	if b.pace.After(now) {
		return // it is replaced together with those that crashed before
	}
	if earliest := now.Add(-crashBurst * crashPause); b.pace.Before(earliest) {
		b.pace = earliest
	}
	b.pace = b.pace.Add(crashPause)
}

// wait returns for how long nothing is to be launched.
func (b *backoff) wait(now time.Time) time.Duration { return max(b.retry.Sub(now), b.pace.Sub(now)) }

// delay is 0.1 s after the first failure and doubles up to 30 s.
func (b *backoff) delay() time.Duration {
	if b.failures == 0 {
		return 0
	}
	return min(firstBackoff<<min(b.failures-1, 20), lastBackoff)
}
