package supervisor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// launches is a launcher whose workers take a second to start, or to fail.
type launches struct {
	launcher
	at []time.Duration // when each began
}

func newLaunches(fail error) *launches {
	begin := time.Now()
	l := &launches{launcher: launcher{places: newPlaces(100), timeout: func() time.Duration { return time.Hour }}}
	l.launch = func(ctx context.Context, _ string) (worker, error) {
		l.at = append(l.at, time.Since(begin)) // of two at once the race detector tells
		select {
		case <-time.After(time.Second):
			return goWorker{}, fail
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return l
}

// start starts n workers and returns what came of them.
func (l *launches) start(ctx context.Context, n int) <-chan error {
	results := make(chan error, n)
	for i := range n {
		go func() {
			_, err := l.Launch(ctx, fmt.Sprint("blog/", i))
			results <- err
		}()
	}
	return results
}

func TestLauncher_TheFirstGoesAheadAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLaunches(nil)
		begin := time.Now()
		results := l.start(t.Context(), 2)
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("two took %v, want one second for the first and one for the other", took)
		}
	})
}

func TestLauncher_WhatTheFirstMeetsIsTrueOfAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		l := newLaunches(broken)
		results := l.start(t.Context(), 5)
		for range 5 {
			if err := <-results; !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		}
		if len(l.at) != 1 {
			t.Errorf("tried %d times", len(l.at))
		}
		<-l.start(t.Context(), 1) // later it is tried again
		if len(l.at) != 2 {
			t.Errorf("tried %d times", len(l.at))
		}
	})
}

func TestLauncher_TheNextGoesAheadWhenTheFirstIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLaunches(nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		first := l.start(ctx, 1)
		synctest.Wait()
		second := l.start(t.Context(), 1)
		synctest.Wait()
		cancel(pool.ErrStopped)
		if err := <-first; !errors.Is(err, pool.ErrStopped) {
			t.Errorf("the first: %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the second: %v", err)
		}
	})
}

// Sites that hang are more than there are places. Who waits behind them for a first
// start waits 2 s for each that had a place before it; a site that has started once
// does not wait at all.
func TestLauncher_SitesThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newPlaces(2)
		healthy := newLaunches(nil)
		healthy.places = all
		<-healthy.start(t.Context(), 1)
		for range 5 {
			hangs := &launcher{places: all, timeout: healthy.timeout, launch: func(ctx context.Context, _ string) (worker, error) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}}
			go func() { _, _ = hangs.Launch(t.Context(), "hangs/1") }()
		}
		synctest.Wait()
		begin := time.Now()
		<-healthy.start(t.Context(), 1)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("a proved site started its worker after %v, want the second that it takes", took)
		}
		fresh := newLaunches(nil)
		fresh.places = all
		<-fresh.start(t.Context(), 1)
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("a new site started its worker after %v, want 2 s for each of two before it, and one", took)
		}
	})
}
