package launches

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// site launches workers that take a second to start, or to fail.
type site struct {
	Guard
	fail error
	at   []time.Duration // when each launch began; two at once are found by the race detector
}

var errLate = errors.New("late")

func newSite(fail error) *site {
	return &site{fail: fail, Guard: Guard{
		Slots: NewSlots(100), Timeout: func() (time.Duration, error) { return time.Hour, errLate },
	}}
}

// start starts n workers and returns their results.
func (s *site) start(ctx context.Context, n int) <-chan error {
	results, begin := make(chan error, n), time.Now()
	for range n {
		go func() {
			results <- s.Do(ctx, func(ctx context.Context) error {
				s.at = append(s.at, time.Since(begin))
				select {
				case <-time.After(time.Second):
					return s.fail
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
		}()
	}
	return results
}

func TestGuard_OthersWaitForTheFirstLaunch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		begin := time.Now()
		results := s.start(t.Context(), 2)
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

// crash is the error of a launch whose process exited.
type crash struct{ oom bool }

func (crash) Error() string                { return "crash" }
func (c crash) Exited() (exited, oom bool) { return true, c.oom }

func TestGuard_TheErrorOfTheFirstIsThatOfAll(t *testing.T) {
	t.Parallel()
	for _, fail := range []error{errors.New("no such module"), crash{}, crash{oom: true}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(fail)
			results := s.start(t.Context(), 5)
			shared := 0
			for range 5 {
				err := <-results
				if !errors.Is(err, fail) {
					t.Errorf("got %v", err)
				}
				var e *SharedError
				if !errors.As(err, &e) {
					continue
				}
				shared++
				if exited, oom := e.Exited(); exited || oom != (fail == error(crash{oom: true})) {
					t.Errorf("%#v: exited %v, for lack of memory %v", fail, exited, oom)
				}
			}
			if shared != 4 || len(s.at) != 1 {
				t.Errorf("%d shared errors of %d launches, want 4 of one", shared, len(s.at))
			}
			<-s.start(t.Context(), 1) // later it is tried again
			if len(s.at) != 2 {
				t.Errorf("tried %d times", len(s.at))
			}
		})
	}
}

func TestGuard_TheNextIsFirstWhenTheFirstIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := s.start(ctx, 1)
		synctest.Wait()
		second := s.start(t.Context(), 1)
		synctest.Wait()
		cancel(stopped)
		if err := <-first; !errors.Is(err, stopped) {
			t.Errorf("the first: %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("the second: %v", err)
		}
	})
}

// TestGuard_WaitsAreGivenUpWithTheContext: a launch whose context ends waits no longer,
// neither for the first launch nor for a slot.
func TestGuard_WaitsAreGivenUpWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopped := errors.New("stopped")
		s := newSite(nil)
		s.Slots = NewSlots(1)
		s.start(t.Context(), 1)
		synctest.Wait()
		other := newSite(nil)
		other.Slots = s.Slots
		ctx, cancel := context.WithCancelCause(t.Context())
		behind, forSlot := s.start(ctx, 1), other.start(ctx, 1)
		synctest.Wait()
		cancel(stopped)
		for name, result := range map[string]<-chan error{"behind the first": behind, "for a slot": forSlot} {
			if err := <-result; err != stopped {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if len(other.at) != 0 {
			t.Error("launched without a slot")
		}
	})
}

// TestGuard_Timeout: the limit is that of the moment, the time in the queue does not
// count, and the launch learns why its context ends.
func TestGuard_Timeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := time.Minute
		s := newSite(nil)
		s.Slots = NewSlots(1)
		s.Timeout = func() (time.Duration, error) { return limit, errLate }
		hangs := func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		free, err := s.Slots.take(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer free()
		limit = time.Second
		begin := time.Now()
		if err := s.Do(t.Context(), hangs); err != errLate {
			t.Errorf("got %v, want the error of Timeout", err)
		}
		if took := time.Since(begin); took != slotTime+time.Second {
			t.Errorf("it took %v, want %v for a slot and a second", took, slotTime)
		}
	})
}

func TestGuard_TimeBeforeALaunchDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(nil)
		s.Before = func(ctx context.Context) {
			select {
			case <-time.After(2 * time.Hour):
			case <-ctx.Done():
			}
		}
		if err := <-s.start(t.Context(), 1); err != nil {
			t.Errorf("got %v, want a worker: the limit is one hour", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		results := s.start(ctx, 1)
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

func TestGuard_NoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no room")
		s := newSite(nil)
		s.Room = func() error { return full }
		if err := <-s.start(t.Context(), 1); err != full || len(s.at) != 0 {
			t.Errorf("got %v, and %d launches", err, len(s.at))
		}
	})
}

// TestSlots_SitesThatHangBlockNoOthers, even if they are more than there are slots. A
// first launch behind them waits slotTime for each that had a slot before it; a proven
// site does not wait at all.
func TestSlots_SitesThatHangBlockNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(2)
		proven := newSite(nil)
		proven.Slots = slots
		<-proven.start(t.Context(), 1)
		for range 5 {
			hangs := &Guard{Slots: slots, Timeout: proven.Timeout}
			go func() {
				_ = hangs.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			}()
		}
		synctest.Wait()
		begin := time.Now()
		<-proven.start(t.Context(), 1)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("a proven site started its worker after %v, want the second that it takes", took)
		}
		fresh := newSite(nil)
		fresh.Slots = slots
		<-fresh.start(t.Context(), 1)
		if took := time.Since(begin); took > 6*time.Second {
			t.Errorf("a new site started its worker after %v, want %v for each of two before it, and one second", took, slotTime)
		}
	})
}

// TestSlots_AreGivenBackOnce: a slot is given back once, by the launch or after
// slotTime.
func TestSlots_AreGivenBackOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		free, err := s.take(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(slotTime + time.Second)
		synctest.Wait()
		if len(s.proven) != 0 {
			t.Error("the slot is still taken")
		}
		other, err := s.take(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		free()
		if len(s.proven) != 1 {
			t.Error("a late launch has given back the slot of another one")
		}
		other()
	})
}
