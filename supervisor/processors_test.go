package supervisor

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestProcessors_CrowdedWhenAllWork keeps every processor busy, and one more.
func TestProcessors_CrowdedWhenAllWork(t *testing.T) {
	var p processors
	count := runtime.GOMAXPROCS(0)
	var stop atomic.Bool
	defer stop.Store(true)
	for range count {
		go func() {
			runtime.LockOSThread()
			for !stop.Load() {
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
