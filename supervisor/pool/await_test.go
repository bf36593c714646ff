package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// returns runs wait and returns a channel that is closed when it has returned.
func returns(wait func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	synctest.Wait()
	return done
}

func isClosed(done <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestPool_AwaitIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := startReady(t, fixed(1), &crew{})
		p.AwaitIdle(t.Context()) // nothing runs
		running := p.claim("GET /running")
		waiting := p.wait(t.Context(), "GET /waiting")
		ctx, cancel := context.WithCancel(t.Context())
		givenUp := p.wait(ctx, "GET /given-up")
		idle := returns(func() { p.AwaitIdle(t.Context()) })
		running.Release()
		next := <-waiting
		if isClosed(idle) {
			t.Fatal("returned while a request ran and another one waited")
		}
		cancel()
		<-givenUp
		if isClosed(idle) {
			t.Fatal("returned while a request ran")
		}
		next.claim.Release()
		if !isClosed(idle) {
			t.Error("did not return when the last request had ended")
		}
	})
}

// TestPool_AwaitIdle_LastWaits: the last request leaves the queue without a worker.
func TestPool_AwaitIdle_LastWaits(t *testing.T) {
	for name, leave := range map[string]func(p *site, cancel func()){
		"gives up":   func(_ *site, cancel func()) { cancel() },
		"is refused": func(p *site, _ func()) { p.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := start(t, fixed(1), &crew{delay: time.Hour})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				waiting := p.wait(ctx, "GET /waiting")
				idle := returns(func() { p.AwaitIdle(t.Context()) })
				if isClosed(idle) {
					t.Fatal("returned while a request waited")
				}
				leave(p, cancel)
				<-waiting
				if !isClosed(idle) {
					t.Error("did not return when no request waited any more")
				}
			})
		})
	}
}

func TestPool_AwaitLongRequests(t *testing.T) {
	const age = time.Second
	for _, tt := range []struct {
		name          string
		first, second time.Duration // how long they run
		want          time.Duration
	}{
		{"short ones", 300 * time.Millisecond, 500 * time.Millisecond, age},
		{"long ones", 300 * time.Millisecond, 5*time.Second + time.Millisecond, 5*time.Second + time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := startReady(t, fixed(3), &crew{})
				if p.AwaitLongRequests(t.Context(), age); p.elapsed() != 0 {
					t.Errorf("returned after %v without a request", p.elapsed())
				}
				time.AfterFunc(tt.first, p.claim("GET /1").Release)
				time.AfterFunc(tt.second, p.claim("GET /2").Release)
				done := returns(func() { p.AwaitLongRequests(t.Context(), age) })
				p.claim("GET /later")
				if <-done; p.elapsed() != tt.want {
					t.Errorf("returned after %v, want %v", p.elapsed(), tt.want)
				}
			})
		})
	}
}

func TestPool_AwaitingHeedsItsContext(t *testing.T) {
	for name, await := range map[string]func(p *site, ctx context.Context){
		"idle": func(p *site, ctx context.Context) { p.AwaitIdle(ctx) },
		"long": func(p *site, ctx context.Context) { p.AwaitLongRequests(ctx, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := startReady(t, fixed(1), &crew{})
				held := p.claim("GET /endless")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if await(p, ctx); p.elapsed() != time.Minute {
					t.Errorf("returned after %v, want 1m", p.elapsed())
				}
				held.Release()
				if st := p.Status(); st.State != pool.SiteRunning || st.Served != 1 {
					t.Errorf("got %+v", st)
				}
			})
		})
	}
}
