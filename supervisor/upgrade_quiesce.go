package supervisor

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// shortPause is how long clients may have to wait at a time. Longer requests are
	// waited for before.
	shortPause    = 300 * time.Millisecond
	betweenPauses = 3 * time.Second // in which clients are served
	callTime      = 3 * time.Second // for calls on the control socket to end
	tlsTime       = 2 * time.Second // for connections with TLS or HTTP/2 to end
)

// quiescing brings the supervisor to a state in which nothing is in motion that could
// not be handed over: no request, no launch, no call.
//
// While everything goes on it waits for what takes long: rolls, launches, and requests.
// Then the front door pauses: clients wait. If what runs has not ended after a moment,
// the pause is given up and tried again later. After the deadline there is one more
// pause, in which requests have graceful_timeout to end before they are cut.
type quiescing struct {
	super    *Supervisor
	own      int // calls on the control socket that wait for the upgrade itself
	deadline time.Time
	paused   time.Time // since when clients wait
	undos    []func()  // undo what was done, called from last to first
}

// undo ends the quiescence.
func (q *quiescing) undo() { q.undoTo(0) }

// undoTo undoes all but the first n steps.
func (q *quiescing) undoTo(n int) {
	for _, f := range slices.Backward(q.undos[n:]) {
		f()
	}
	q.undos = q.undos[:n]
}

// did notes a step by the function that undoes it.
func (q *quiescing) did(undo func()) { q.undos = append(q.undos, undo) }

// reach returns when the supervisor is quiesced.
func (q *quiescing) reach(ctx context.Context) error {
	if err := q.holdRolls(ctx); err != nil {
		return err
	}
	for {
		patience, cancel := context.WithDeadline(ctx, q.deadline)
		eachSite(q.super.sites.all(), func(t *site) {
			t.pool.AwaitLaunches(patience)
			t.pool.AwaitLongRequests(patience, shortPause)
		})
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		before := len(q.undos)
		q.endTLS(ctx)
		q.holdCalls()
		if q.holdRequests(ctx) {
			break
		}
		q.undoTo(before)
		sleep(ctx, min(betweenPauses, time.Until(q.deadline)))
	}
	q.holdStarts()
	return nil
}

// holdRolls waits for rolls that run, and lets none begin.
func (q *quiescing) holdRolls(ctx context.Context) error {
	for _, t := range q.super.sites.all() {
		select {
		case t.rolling <- struct{}{}:
			q.did(func() { <-t.rolling })
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// holdCalls waits for calls on the control socket and the dashboard, and lets new ones
// wait.
func (q *quiescing) holdCalls() {
	q.super.logs.DropStreams()
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	for g, own := range q.super.endpoints.gates(q.own) {
		g.Shut()
		q.did(g.Open)
		g.AwaitIdle(ctx, own)
	}
}

// endTLS ends the idle connections that the next image cannot go on with, and lets clients
// with TLS wait that connect.
func (q *quiescing) endTLS(ctx context.Context) {
	q.did(q.super.door.ResumeTLS)
	ctx, cancel := context.WithTimeout(ctx, tlsTime)
	defer cancel()
	q.super.door.EndTLS(ctx)
}

// holdRequests waits for requests, and lets new ones wait. It reports whether none is
// left: if it takes too long it returns false, unless this is the last pause.
func (q *quiescing) holdRequests(ctx context.Context) bool {
	q.paused = time.Now()
	q.did(q.super.door.Resume)
	sites := q.super.sites.all()
	last := !q.paused.Before(q.deadline)
	limit := shortPause
	if last {
		limit = longestGrace(sites)
	}
	var cutting sync.WaitGroup
	defer cutting.Wait()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if last {
		cutting.Go(func() { q.cutDownloads(ctx, cancel) })
	}
	err := q.super.door.Pause(ctx)
	if err == nil { // the last claims are about to be released
		eachSite(sites, func(t *site) { t.pool.AwaitIdle(ctx) })
	}
	if err != nil && last {
		q.super.log.Warn("requests in flight are cut", "limit", "graceful_timeout", "error", err)
	}
	return err == nil || last
}

// cutDownloads ends the last pause early when no worker has a request any more: what is
// left are answers to slow clients.
func (q *quiescing) cutDownloads(ctx context.Context, cancel context.CancelFunc) {
	sleep(ctx, shortPause)
	eachSite(q.super.sites.all(), func(t *site) { t.pool.AwaitIdle(ctx) })
	cancel()
}

// holdStarts gives up what is about to start, and lets nothing start.
func (q *quiescing) holdStarts() {
	sites := q.super.sites.all()
	var mu sync.Mutex
	eachSite(sites, func(t *site) {
		resume := t.pool.Pause()
		mu.Lock()
		defer mu.Unlock()
		q.did(resume)
	})
	eachSite(sites, func(t *site) {
		current, retired := t.launchedFrom()
		if current.python != nil {
			current.python.DropUnfinished()
		}
		for _, g := range retired {
			if g.python != nil {
				g.python.DropUnfinished()
				g.python.Unload() // its last workers do not need the zygote
			}
		}
	})
}

// eachSite calls f for all sites at the same time, and returns when all calls have.
func eachSite(sites []*site, f func(*site)) {
	var wg sync.WaitGroup
	for _, t := range sites {
		wg.Go(func() { f(t) })
	}
	wg.Wait()
}

// longestGrace returns the longest graceful_timeout: for so long an upgrade or a stop
// waits for requests.
func longestGrace(sites []*site) (longest time.Duration) {
	for _, t := range sites {
		longest = max(longest, t.config().GracefulTimeout)
	}
	return longest
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
