package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// longestPause bounds --max: requests wait meanwhile.
const longestPause = 10 * time.Minute

// pause is that no worker of a site gets a request. Its zero value is that of a site that
// goes on.
type pause struct {
	mu sync.Mutex
	// mu protects all below
	since, until time.Time     // until is when it ends by itself
	end          *time.Timer   // ends it; nil: the site is not paused
	ended        chan struct{} // closed when it has ended; tells one pause from the next
}

// errResumed is why a pause fails that somebody has ended while it waited.
var errResumed = errors.New("it was resumed")

// Pause lets requests of a site wait, and returns when none runs any more. If some run for
// longer than most, or the caller leaves, the site goes on.
func (s *Supervisor) Pause(ctx context.Context, name string, most time.Duration) (control.Paused, error) {
	t, err := s.sites.find(name)
	if err != nil {
		return control.Paused{}, err
	}
	if most <= 0 || most > longestPause {
		return control.Paused{}, &control.Error{Message: fmt.Sprintf("a pause of %v: it must be longer than 0s and at most %v", most, longestPause), Usage: true}
	}
	until, ended, err := t.startPause(most)
	if err != nil {
		return control.Paused{}, err
	}
	if s.upgrader.active.Load() { // it looks for pauses once it is active
		t.endPause(ended)
		return control.Paused{}, errUpgrading
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := t.awaitPause(ctx, ended); err != nil {
		t.endPause(ended)
		e := &control.Error{Message: fmt.Sprintf("site %s goes on: requests still ran after %v", t.name, most), Hint: "a longer --max, or maintenance"}
		if !errors.Is(err, context.DeadlineExceeded) && time.Now().Before(until) { // else the pause may have ended by itself first
			e.Message = fmt.Sprintf("site %s goes on: %v", t.name, err)
		}
		return control.Paused{}, e
	}
	return control.Paused{Until: until, Waiting: t.pool.Status().Queued}, nil
}

// awaitPause returns when no request runs, or why the pause that ended tells of has failed.
func (t *site) awaitPause(ctx context.Context, ended chan struct{}) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ended:
			cancel(errResumed)
		case <-done:
		}
	}()
	if err := t.pool.AwaitNoneRuns(ctx); err != nil {
		return err
	}
	select {
	case <-ended: // so what does not run now may run at once
		return errResumed
	default:
		return nil
	}
}

// startPause returns when the pause ends by itself, and what is closed when it has ended.
func (t *site) startPause(most time.Duration) (until time.Time, ended chan struct{}, err error) {
	p := &t.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		return until, nil, &control.Error{Message: fmt.Sprintf("site %s is paused until %s", t.name, p.until.Format(time.TimeOnly)), Hint: "multisite resume " + t.name}
	}
	p.since = time.Now()
	p.until = p.since.Add(most)
	ended = make(chan struct{})
	p.ended = ended
	p.end = time.AfterFunc(most, func() {
		if waited, was := t.endPause(ended); was {
			t.log.Error("the pause has ended by itself: nobody has resumed the site", "limit", "--max", "waited", waited)
			t.happened(time.Now(), "pause ended by itself")
		}
	})
	t.pool.HoldQueue()
	t.log.Warn("requests are held", "at most", most)
	return p.until, ended, nil
}

// endPause lets the site go on, and returns how many requests have waited. which is the pause
// that is to end, if it has not yet; nil: any.
func (t *site) endPause(which chan struct{}) (waited int, was bool) {
	p := &t.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end == nil || which != nil && which != p.ended {
		return 0, false
	}
	p.end.Stop()
	p.end = nil
	close(p.ended)
	return t.pool.LetQueueGo(), true
}

// Resume ends the pause of a site.
func (s *Supervisor) Resume(_ context.Context, name string) (control.Resumed, error) {
	t, err := s.sites.find(name)
	if err != nil {
		return control.Resumed{}, err
	}
	st := t.pauseStatus()
	waited, was := t.endPause(nil)
	if !was || st == nil {
		return control.Resumed{}, &control.Error{Message: fmt.Sprintf("site %s is not paused", name)}
	}
	t.log.Info("requests go on", "after", time.Since(st.Since), "waited", waited)
	return control.Resumed{Waited: waited, Seconds: time.Since(st.Since).Seconds()}, nil
}

// pauseStatus returns since when the site is paused; nil: it is not.
func (t *site) pauseStatus() *status.Pause {
	p := &t.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end == nil {
		return nil
	}
	return &status.Pause{Since: p.since.UTC(), Until: p.until.UTC()}
}

// refusePaused refuses an upgrade while a site is paused: what waits could not be handed
// over.
func (s *Supervisor) refusePaused() error {
	for _, t := range s.sites.all() {
		if t.pauseStatus() != nil {
			return &control.Error{Message: fmt.Sprintf("no upgrade: site %s is paused", t.name), Hint: "multisite resume " + t.name + ", or wait"}
		}
	}
	return nil
}
