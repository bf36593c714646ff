package pool_test

import (
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// The socket and whatever else an exited worker has left behind is removed by its name,
// so no other worker may have that name until Observe has returned.
func TestPool_NameIsFreeWhenItsExitWasObserved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &crew{}
		s := startReady(t, fixed(1), l)
		observed := make(chan struct{})
		s.onEvent(func(e pool.Event) {
			if e.Kind == pool.WorkerExited {
				defer close(observed)
				time.Sleep(time.Second) // in the time of the bubble: everything else can go on
				if n := l.launched(); n != 1 {
					t.Errorf("%d launches while the exit of the first worker is observed", n)
				}
				s.onEvent(nil)
			}
		})
		l.last().crash()
		<-observed
		if err := s.AwaitTarget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := l.last(); got.id != "shop/1" || l.launched() != 2 {
			t.Errorf("worker %s after %d launches, want shop/1 after 2", got.id, l.launched())
		}
	})
}
