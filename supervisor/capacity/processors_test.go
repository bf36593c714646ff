package capacity

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestProcessors_CrowdedWhenAllWork keeps every processor busy, and one more.
func TestProcessors_CrowdedWhenAllWork(t *testing.T) {
	var p Processors
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
	for deadline := time.Now().Add(time.Minute); !p.Crowded(count+1, time.Now()); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d run on %d processors, and they are not crowded", runnable(), count)
		}
	}
	now := p.looked
	if !p.Crowded(count+1, now) || p.Crowded(count, now) {
		t.Error("want that it is crowded with more workers than processors, and with no fewer")
	}
}

// TestProcessors_LooksOnceAMillisecond: Processors looks once a millisecond, not for
// each request.
func TestProcessors_LooksOnceAMillisecond(t *testing.T) {
	t.Parallel()
	const nobody = 1 << 20 // has so many processors
	now := time.Now()
	p := Processors{looked: now, count: nobody, busy: true}
	if !p.Crowded(nobody+1, now.Add(time.Millisecond-1)) || p.count != nobody {
		t.Error("it looked again before a millisecond was over")
	}
	p.Crowded(nobody+1, now.Add(time.Millisecond))
	if p.count != runtime.GOMAXPROCS(0) || !p.looked.Equal(now.Add(time.Millisecond)) {
		t.Errorf("got %d processors as of %v, want those of now", p.count, p.looked)
	}
}
