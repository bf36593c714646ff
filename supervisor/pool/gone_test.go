package pool_test

import (
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// What a worker leaves behind, its socket above all, is removed by name: nobody
// may have taken the name meanwhile.
func TestPool_NameIsFreeWhenItsEndWasObserved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := &crew{}
		s := settled(t, fixed(1), l)
		observed := make(chan struct{})
		s.onEvent(func(e pool.Event) {
			if e.Kind == pool.WorkerExited {
				defer close(observed)
				time.Sleep(time.Second) // of the bubble: everything else stands still
				if n := l.launched(); n != 1 {
					t.Errorf("%d launches while the end of the first worker is observed", n)
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
