package supervisor

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/pool"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// engaged is a worker that finishes a request when the test lets it.
type engaged struct {
	worker // what nobody calls
	left   chan error
	done   chan struct{}
	end    sync.Once
}

func (w *engaged) Done() <-chan struct{}                   { return w.done }
func (w *engaged) PID() int                                { return 1 }
func (w *engaged) OOM() bool                               { return false }
func (w *engaged) Crashed() bool                           { return false }
func (w *engaged) DumpStack()                              {}
func (w *engaged) Kill()                                   { w.end.Do(func() { close(w.done) }) }
func (w *engaged) Stop(time.Duration)                      { w.Kill() }
func (w *engaged) Send(*wire.Head, wire.Watcher) wire.Sent { return &pendingSent{left: w.left} }

func (w *engaged) SendFollower(*wire.Head, wire.Watcher) wire.Sent { panic("one at a time") }

func (w *engaged) Launch(context.Context, string) (pool.Worker, error) { return w, nil }
func (w *engaged) Threads() int                                        { return 1 }

// pendingSent is a request that the worker has.
type pendingSent struct {
	wire.Sent
	left chan error
}

func (b *pendingSent) Outcome() wire.Outcome { return wire.Written }
func (b *pendingSent) FD() int               { return 1 }

func (b *pendingSent) Close(deadline time.Time) error {
	select {
	case err := <-b.left:
		return err
	case <-time.After(time.Until(deadline)):
		return context.DeadlineExceeded
	}
}

// TestDirect_FailWaitsForTheWorker: a worker gets no request while it still has one that
// nobody waits for any more.
func TestDirect_FailWaitsForTheWorker(t *testing.T) {
	t.Parallel()
	for _, leaves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := &engaged{left: make(chan error), done: make(chan struct{})}
			p := pool.New(pool.Options{Site: "blog", Launcher: w, Settings: pool.Settings{
				Min: 1, Max: 1, Threads: 1, Backlog: 1, QueueTimeout: time.Hour, ShutdownTimeout: time.Second,
			}})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan bool)
			go func() { defer close(ended); p.Run(ctx) }()
			s := &site{pool: p, cfg: &config.Site{RequestTimeout: time.Minute}}
			first := take(t, s)
			first.Send(&wire.Head{}, nil)
			first.Fail(context.Canceled)
			second, err := s.Enqueue("GET /second", func() {})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(59 * time.Second)
			synctest.Wait()
			if second.Resolved() {
				t.Fatal("the next request got a worker that still has the one before")
			}
			if leaves {
				w.left <- nil
				synctest.Wait()
				if !second.Resolved() {
					t.Error("the worker is free, and not used")
				}
			} else {
				<-w.done // its time is over: it is replaced
			}
			stop()
			if d, err := second.Wait(ctx); err == nil {
				d.Release()
			}
			<-ended
		})
	}
}

// refusing is a worker that takes no follower, and answers the requests for which the
// caller waits.
type refusing struct{ *engaged }

func (w refusing) Launch(context.Context, string) (pool.Worker, error) { return w, nil }
func (refusing) Send(*wire.Head, wire.Watcher) wire.Sent               { return noFollower{} }
func (refusing) RoundTrip(*http.Request) (*http.Response, error)       { return &http.Response{}, nil }

type noFollower struct{ wire.Sent }

func (noFollower) Outcome() wire.Outcome { return wire.NoFollower }

func (noFollower) Await(*http.Request) (*http.Response, error) {
	return nil, errors.New("sent to the worker that had refused it")
}

// TestDirect_RequeuedIsSentByItsNewWorker: a request that one worker did not take goes to
// the worker that the claim gets then, not to the first one.
func TestDirect_RequeuedIsSentByItsNewWorker(t *testing.T) {
	t.Parallel()
	w := refusing{&engaged{done: make(chan struct{})}}
	p := pool.New(pool.Options{Site: "blog", Launcher: w, Settings: pool.Settings{
		Min: 1, Max: 1, Threads: 1, Backlog: 1, QueueTimeout: time.Hour, ShutdownTimeout: time.Second,
	}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { defer close(ended); p.Run(ctx) }()
	d := take(t, &site{pool: p, cfg: &config.Site{}}).(*direct)
	if o, _ := d.Send(&wire.Head{}, nil); o != wire.NoFollower {
		t.Fatalf("got %v, want %v", o, wire.NoFollower)
	}
	if err := d.Requeue(); err != nil {
		t.Fatal(err)
	}
	again, err := d.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.RoundTrip(&http.Request{}); err != nil {
		t.Error(err)
	}
	again.Release()
	stop()
	<-ended
}

func take(t *testing.T, s *site) front.Direct {
	t.Helper()
	a, err := s.Enqueue("GET /first", func() {})
	if err != nil {
		t.Fatal(err)
	}
	d, err := a.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d
}
