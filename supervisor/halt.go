package supervisor

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// shortPause is how long clients may have to wait at a time. A request that takes
	// longer is waited for before.
	shortPause    = 300 * time.Millisecond
	betweenPauses = 3 * time.Second // in which clients are served
	callTime      = 3 * time.Second // for calls on the control socket to end
)

// halt brings the supervisor to a halt for an upgrade, with nothing in motion that
// could not be handed over: no request, no launch, no call.
//
// What takes long is waited for while everything goes on: rolls, launches, and
// requests. Then nothing new is taken from clients; they wait. If what runs does
// not end in a moment, something takes long after all: the pause is given up, and
// tried again later. After deadline there is only one more pause, in which requests
// have graceful_timeout to end before they are cut.
type halt struct {
	super    *Supervisor
	own      int // calls that wait for the upgrade
	deadline time.Time
	since    time.Time // since when clients wait
	undos    []func()
}

// undo ends the halt.
func (h *halt) undo() { h.undoTo(0) }

func (h *halt) undoTo(n int) {
	for _, f := range slices.Backward(h.undos[n:]) {
		f()
	}
	h.undos = h.undos[:n]
}

func (h *halt) do(undo func()) { h.undos = append(h.undos, undo) }

// reach returns when everything has come to a halt.
func (h *halt) reach(ctx context.Context) error {
	if err := h.holdRolls(ctx); err != nil {
		return err
	}
	for {
		patience, cancel := context.WithDeadline(ctx, h.deadline)
		eachSite(h.super.sites.all(), func(t *site) {
			t.pool.AwaitLaunches(patience)
			t.pool.AwaitLongRequests(patience, shortPause)
		})
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		before := len(h.undos)
		h.holdCalls()
		if h.holdRequests(ctx) {
			break
		}
		h.undoTo(before)
		sleep(ctx, min(betweenPauses, time.Until(h.deadline)))
	}
	h.holdStarts()
	return nil
}

// holdRolls waits for those that run.
func (h *halt) holdRolls(ctx context.Context) error {
	for _, t := range h.super.sites.all() {
		select {
		case t.rolling <- struct{}{}:
			h.do(func() { <-t.rolling })
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// holdCalls lets calls that were made end. Those that come wait.
func (h *halt) holdCalls() {
	s := h.super
	s.logs.DropStreams()
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	for g, own := range s.endpoints.gates(h.own) { // a call may be the one that asks for this
		g.Shut()
		h.do(g.Open)
		g.AwaitIdle(ctx, own)
	}
}

// holdRequests lets clients wait. False: it would take too long.
func (h *halt) holdRequests(ctx context.Context) bool {
	door := h.super.door
	h.since = time.Now()
	h.do(door.Resume)
	last := !h.since.Before(h.deadline)
	limit := shortPause
	if last {
		limit = h.super.longestGrace()
	}
	var cutting sync.WaitGroup
	defer cutting.Wait()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if last {
		cutting.Go(func() { h.cutDownloads(ctx, cancel) })
	}
	err := door.Pause(ctx)
	if err == nil { // the last workers are just being let go
		eachSite(h.super.sites.all(), func(t *site) { t.pool.AwaitIdle(ctx) })
	}
	if err != nil && last {
		h.super.log.Warn("requests in flight are cut", "limit", "graceful_timeout", "error", err)
	}
	return err == nil || last
}

// cutDownloads ends the wait when only clients are slow, not workers.
func (h *halt) cutDownloads(ctx context.Context, cancel context.CancelFunc) {
	sleep(ctx, shortPause)
	eachSite(h.super.sites.all(), func(t *site) { t.pool.AwaitIdle(ctx) })
	cancel()
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// holdStarts gives up what is just being started, and starts nothing more.
func (h *halt) holdStarts() {
	sites := h.super.sites.all()
	var mu sync.Mutex
	eachSite(sites, func(t *site) {
		resume := t.pool.Pause()
		mu.Lock()
		defer mu.Unlock()
		h.do(resume)
	})
	eachSite(sites, func(t *site) {
		current, retired := t.launchedFrom()
		if current.python != nil {
			current.python.DropUnfinished()
		}
		for _, g := range retired {
			if g.python != nil {
				g.python.DropUnfinished()
				g.python.Unload() // its last workers do not need it
			}
		}
	})
}

func eachSite(sites []*site, f func(*site)) {
	var wg sync.WaitGroup
	for _, t := range sites {
		wg.Go(func() { f(t) })
	}
	wg.Wait()
}
