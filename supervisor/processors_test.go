package supervisor

import (
	"runtime"
	"testing"
	"time"
)

// TestProcessors_CrowdedWhenAllWork keeps every processor busy, and one more.
func TestProcessors_CrowdedWhenAllWork(t *testing.T) {
	var p processors
	count := runtime.GOMAXPROCS(0)
	stop := make(chan struct{})
	defer close(stop)
	for range count {
		go func() {
			runtime.LockOSThread()
			for {
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for deadline := time.Now().Add(time.Minute); !p.crowded(count+1, time.Now()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d run on %d processors, and they are not crowded", running(), count)
		}
	}
	now := p.looked
	if !p.crowded(count+1, now) || p.crowded(count, now) {
		t.Error("want more workers than there are processors, and no fewer")
	}
}
