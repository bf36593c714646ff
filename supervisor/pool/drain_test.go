package pool_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

func TestPool_DrainWaitsForInflight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		s := fixed(1)
		s.Threads = 2
		p := startReady(t, s, c)
		first, second := p.claim("GET /1"), p.claim("GET /2")
		p.Stop()
		time.Sleep(4 * time.Second)
		first.Release()
		time.Sleep(3 * time.Second)
		if stops, _, _ := c.last().stopped(); stops != 0 {
			t.Fatal("the worker was stopped while it had a request")
		}
		second.Release()
		<-p.done
		stops, at, grace := c.last().stopped()
		if stops != 1 || at.Sub(p.began) != 7*time.Second || grace != 5*time.Second {
			t.Errorf("got %d stops, at %v with grace %v, want 1 at 7s with 5s", stops, at.Sub(p.began), grace)
		}
		if got := p.Status(); got.State != pool.SiteStopped || got.LastExit.Reason != pool.ReasonStop || got.Restarts != 0 {
			t.Errorf("got %s, reason %q, %d restarts", got.State, got.LastExit.Reason, got.Restarts)
		}
	})
}

func TestPool_GracefulTimeoutEndsTheWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{}
		p := startReady(t, fixed(1), c)
		p.claim("GET /endless")
		p.Stop()
		<-p.done
		if _, at, _ := c.last().stopped(); at.Sub(p.began) != 15*time.Second {
			t.Errorf("stopped at %v, want 15s", at.Sub(p.began))
		}
		if e := p.eventsOf(pool.WorkerExited); len(e) != 1 || !slices.Equal(e[0].Running, []string{"GET /endless"}) {
			t.Errorf("got %+v, want one end while GET /endless was running", e)
		}
	})
}

func TestPool_StopRefusesOldAndNewClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		held := p.claim("GET /")
		p.claim("GET /").Release()
		busy := p.claim("GET /")
		waiting := p.wait(t.Context(), "GET /")
		p.Stop()
		if o := <-waiting; !errors.Is(o.err, pool.ErrStopped) || o.after != 0 {
			t.Errorf("waiting: got %v after %v, want ErrStopped at once", o.err, o.after)
		}
		busy.Release()
		if _, err := p.Claim(t.Context(), "GET /"); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("new: got %v, want ErrStopped", err)
		}
		if got := p.Status().Refused; got != 2 {
			t.Errorf("got %d refused, want 2", got)
		}
		held.Release()
		<-p.done
	})
}

// The claim comes right after Stop, before Run reconciles.
func TestPool_NoClaimIsTakenAfterStop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		p.Stop()
		if c, err := p.Claim(t.Context(), "GET /"); !errors.Is(err, pool.ErrStopped) {
			t.Errorf("got %v, %v, want ErrStopped", c, err)
		}
	})
}

func TestPool_StopWhileStarting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Hour}
		p := start(t, fixed(3), c)
		waiting := p.wait(t.Context(), "GET /")
		p.Stop()
		<-p.done
		if got := p.elapsed(); got != 0 {
			t.Errorf("stopped after %v, want at once", got)
		}
		if o := <-waiting; !errors.Is(o.err, pool.ErrStopped) {
			t.Errorf("got %v, want ErrStopped", o.err)
		}
		if len(p.events) > 0 {
			t.Errorf("got %+v, want no event of a launch that was cancelled", p.events)
		}
	})
}

func TestPool_RunReturnsAfterTheLastEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(2), &crew{})
		p.onEvent(func(pool.Event) { time.Sleep(time.Second) })
		p.Stop()
		<-p.done
		if p.elapsed() != time.Second {
			t.Errorf("returned after %v, want 1s", p.elapsed())
		}
	})
}

func TestPool_StopEndsAWorkerThatBecomesReady(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &crew{delay: time.Minute, deaf: true}
		p := start(t, fixed(1), c)
		synctest.Wait()
		p.Stop()
		<-p.done
		if stops, at, _ := c.last().stopped(); stops != 1 || at.Sub(p.began) != time.Minute {
			t.Errorf("got %d stops at %v, want 1 at 1m", stops, at.Sub(p.began))
		}
	})
}

// When the context of Run is cancelled, all workers are killed in whatever state they are.
func TestPool_CancelKillsAllWorkers(t *testing.T) {
	tests := []struct {
		name   string
		before func(p *site)
	}{
		{"idle", func(*site) {}},
		{"busy", func(p *site) { p.claim("GET /") }},
		{"draining", func(p *site) { p.claim("GET /"); p.Stop() }},
		{"stopping", func(p *site) { p.Stop() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &crew{linger: time.Hour}
				s := fixed(1)
				s.GracefulTimeout, s.ShutdownTimeout = time.Hour, time.Hour
				p := startReady(t, s, c)
				tt.before(p)
				synctest.Wait()
				p.cancel()
				<-p.done
				if got := p.elapsed(); got != time.Second {
					t.Errorf("ended after %v, want 1s, the time a kill takes", got)
				}
				if c.last().kills != 1 {
					t.Errorf("got %d kills, want 1", c.last().kills)
				}
				if got := p.Status(); got.LastExit.Reason != pool.ReasonStop || got.Restarts != 0 || c.launched() != 1 {
					t.Errorf("got reason %q, %d restarts, %d launches", got.LastExit.Reason, got.Restarts, c.launched())
				}
			})
		})
	}
}

func TestPool_CancelWhileStartingIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(3), &crew{delay: time.Hour})
		synctest.Wait()
		p.cancel()
		<-p.done
		if got := p.Status(); p.elapsed() != 0 || got.LastError != nil || len(p.events) > 0 {
			t.Errorf("after %v: last error %v, events %v", p.elapsed(), got.LastError, p.events)
		}
	})
}

func TestPool_AwaitTargetHeedsItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(1), &crew{delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.AwaitTarget(ctx); !errors.Is(err, context.DeadlineExceeded) || p.elapsed() != time.Minute {
			t.Errorf("got %v after %v, want the deadline after 1m", err, p.elapsed())
		}
	})
}

// A worker that drains can crash before Stop is called, or when it is called.
func TestPool_DrainingWorkerThatCrashes(t *testing.T) {
	for _, tt := range []struct {
		name string
		die  func(w *fake, request *pool.Claim)
	}{
		{"while it has a request", func(w *fake, _ *pool.Claim) { w.crash() }},
		{"when it is asked to end", func(w *fake, request *pool.Claim) { w.crashes = true; request.Release() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := &crew{}
				p := startReady(t, fixed(1), c)
				request := p.claim("GET /")
				old := c.last()
				rolled := make(chan error, 1)
				go func() { rolled <- p.Roll(t.Context(), c, pool.ReasonReload, nil) }()
				synctest.Wait()
				tt.die(old, request)
				if err := <-rolled; err != nil {
					t.Fatal(err)
				}
				e := p.eventsOf(pool.WorkerExited)
				if len(e) != 1 || e[0].Worker != pool.Worker(old) || e[0].Reason != pool.ReasonCrash {
					t.Errorf("got %+v, want a crash", e)
				}
				if got := p.Status().Restarts; got != 1 {
					t.Errorf("got %d restarts, want 1", got)
				}
			})
		})
	}
}

// halfway is the error of a launch that has started a process.
type halfway struct {
	error
	oom bool
}

func (h halfway) Exited() (exited, oom bool) { return true, h.oom }

// halfCrew launches processes that never get ready.
type halfCrew struct{ oom bool }

func (halfCrew) Threads() int { return 0 }

func (c halfCrew) Launch(ctx context.Context, _ string) (pool.Worker, error) {
	<-ctx.Done()
	return nil, halfway{context.Cause(ctx), c.oom}
}

// The exit of a process that is retired before it is ready is recorded like any other.
func TestPool_RetiredWhileStarting(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start int
		oom   bool
		end   func(*site)
		want  pool.Reason
	}{
		{"stop", 1, false, func(p *site) { p.Stop() }, pool.ReasonStop},
		{"force", 1, false, func(p *site) { p.cancel() }, pool.ReasonStop},
		{"scale", 1, false, func(p *site) { p.Apply(fixed(0)) }, pool.ReasonScale},
		{"a roll that is cancelled", 0, false, func(p *site) {
			ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
			defer cancel()
			p.Apply(between(0, 1))
			_ = p.Roll(ctx, halfCrew{}, pool.ReasonReload, nil)
		}, pool.ReasonReload},
		{"an upgrade", 1, false, func(p *site) { p.Pause() }, pool.ReasonRestart},
		{"without memory", 1, true, func(p *site) { p.Stop() }, pool.ReasonOOM},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := start(t, fixed(tt.start), halfCrew{tt.oom})
				synctest.Wait()
				tt.end(p)
				synctest.Wait()
				e := p.eventsOf(pool.WorkerExited)
				if len(e) != 1 || len(p.events) != 1 || e[0].Reason != tt.want || e[0].Worker != nil || e[0].Err == nil {
					t.Fatalf("got %+v, want one end for %s", p.events, tt.want)
				}
				if last := p.Status().LastExit; last.Reason != tt.want || last.ID != "shop/1" {
					t.Errorf("status has %+v", last)
				}
			})
		})
	}
}

func TestPool_ExitsForLackOfMemoryWhileStarting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := start(t, fixed(1), &crew{fail: func(int) error { return halfway{errImport, true} }})
		synctest.Wait()
		if e := p.eventsOf(pool.WorkerFailed); len(e) != 1 || e[0].Reason != pool.ReasonOOM {
			t.Errorf("got %+v, want one failure for oom", e)
		}
	})
}
