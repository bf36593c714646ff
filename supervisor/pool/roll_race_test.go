package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// roll calls Roll in the background and returns when the trial is under way.
func roll(ctx context.Context, p *site, l pool.Launcher) <-chan outcome {
	out := make(chan outcome, 1)
	began := time.Now()
	go func() {
		err := p.Roll(ctx, l, pool.ReasonReload, nil)
		out <- outcome{err: err, after: time.Since(began)}
	}()
	synctest.Wait()
	return out
}

func TestPool_RollsTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		second, third := &crew{delay: time.Second}, &crew{delay: time.Second}
		first := roll(t.Context(), p, second)
		next := roll(t.Context(), p, third)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.Roll(ctx, &crew{}, pool.ReasonReload, nil); !errors.Is(err, context.DeadlineExceeded) || p.elapsed() != time.Millisecond {
			t.Errorf("got %v after %v, want the deadline while others roll", err, p.elapsed())
		}
		if o := <-first; o.err != nil || o.after != 2*time.Second {
			t.Errorf("first: got %v after %v, want done after 2s", o.err, o.after)
		}
		if o := <-next; o.err != nil || o.after != 4*time.Second {
			t.Errorf("second: got %v after %v, want done after 4s", o.err, o.after)
		}
		if got := third.times(p.began)[0]; got != 2*time.Second {
			t.Errorf("the second roll began after %v, want 2s", got)
		}
		if got := p.Status(); got.Generation != 3 || got.Ready != 2 || third.launched() != 2 {
			t.Errorf("got generation %d, %d ready, %d launches", got.Generation, got.Ready, third.launched())
		}
	})
}

func TestPool_ScaleDuringRoll(t *testing.T) {
	for name, n := range map[string]int{"up": 7, "down": 2, "to nothing": 0} {
		for _, after := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					old, young := &crew{}, &crew{delay: time.Second}
					p := startReady(t, fixed(4), old)
					rolled := roll(t.Context(), p, young)
					time.Sleep(after)
					if err := p.Scale(t.Context(), n); err != nil {
						t.Fatal(err)
					}
					if o := <-rolled; o.err != nil {
						t.Fatalf("roll: %v", o.err)
					}
					got := p.Status()
					if got.Generation != 2 || got.Ready != n || len(got.Workers) != n {
						t.Errorf("got generation %d, %d ready of %d", got.Generation, got.Ready, len(got.Workers))
					}
					if len(old.workers) > 7 {
						t.Errorf("got %d old workers", len(old.workers))
					}
				})
			})
		}
	}
}

func TestPool_StopDuringRoll(t *testing.T) {
	for name, after := range map[string]time.Duration{"trial": 500 * time.Millisecond, "later": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := startReady(t, fixed(4), &crew{})
				rolled := roll(t.Context(), p, &crew{delay: time.Second})
				time.Sleep(after)
				p.Stop()
				if o := <-rolled; !errors.Is(o.err, pool.ErrStopped) || o.after != after {
					t.Errorf("got %v after %v, want ErrStopped after %v", o.err, o.after, after)
				}
				<-p.done
				if p.elapsed() != after {
					t.Errorf("ended after %v, want %v", p.elapsed(), after)
				}
				for _, e := range p.eventsOf(pool.WorkerExited) {
					if e.Reason != pool.ReasonStop && (name == "trial" || e.Reason != pool.ReasonReload) {
						t.Errorf("%s of generation %d ended because of %q", e.ID, e.Generation, e.Reason)
					}
				}
			})
		})
	}
}

func TestPool_RollAfterStopStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, young := &crew{linger: time.Second}, &crew{}
		p := startReady(t, fixed(1), old)
		p.Stop()
		if err := p.Roll(t.Context(), young, pool.ReasonReload, nil); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, want ErrStopped", err)
		}
		<-p.done
		if young.launched() != 0 {
			t.Errorf("got %d launches", young.launched())
		}
		if p.Launcher() != pool.Launcher(old) {
			t.Error("the old launcher was replaced")
		}
	})
}

// The worker of a cancelled trial takes no request, even if it becomes ready.
func TestPool_CancelledTrialThatBecomesReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		young := &crew{delay: time.Minute, deaf: true}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Roll(ctx, young, pool.ReasonReload, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the deadline", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		e := p.eventsOf(pool.WorkerExited)
		if len(e) != 1 || e[0].Worker != pool.Worker(young.last()) || e[0].Reason != pool.ReasonReload {
			t.Errorf("got %+v, want the end of the trial for reload", e)
		}
		if got := p.Status(); got.Generation != 1 || got.Ready != 1 || len(got.Workers) != 1 {
			t.Errorf("got generation %d, %d ready of %d", got.Generation, got.Ready, len(got.Workers))
		}
	})
}

// The trial succeeds at the moment its context ends: either the old workers go on or the
// new ones do, and none is lost.
func TestPool_TrialSucceedsAtTheMomentItIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := p.Roll(ctx, &crew{delay: time.Second}, pool.ReasonReload, nil)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want the deadline", err)
			}
			if err := p.AwaitTarget(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := p.Status(); got.Ready != 2 || got.State != pool.SiteRunning {
				t.Fatalf("got %d ready, %s", got.Ready, got.State)
			}
		}
	})
}
