package spool

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestStore_ReturnsMemory: what many slow clients have needed is the kernel's again soon.
func TestStore_ReturnsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(t.TempDir())
		const blocks = 400
		var all [][]byte
		for range blocks {
			b := s.Block()
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
		held := released()
		for i, b := range all {
			s.GiveBlock(b)
			all[i] = nil
		}
		time.Sleep(returnDelay - 1)
		synctest.Wait()
		if n := released() - held; n > blocks*AnswerMemory/2 {
			t.Errorf("%d bytes were returned at once", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := released() - held; n < blocks*AnswerMemory*9/10 {
			t.Errorf("%d bytes were returned", n)
		}
	})
}

// TestStore_KeepsMemoryInUse: blocks that are taken again meanwhile are not returned.
func TestStore_KeepsMemoryInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(t.TempDir())
		cycles := func() uint32 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		if !s.Take(returnWorth + 1) {
			t.Fatal("no memory")
		}
		before := cycles()
		s.Give(returnWorth + 1)
		s.Take(returnWorth + 1)
		time.Sleep(returnDelay)
		synctest.Wait()
		if n := cycles() - before; n != 0 {
			t.Errorf("%d collections", n)
		}
		s.Give(returnWorth + 1)
		time.Sleep(returnDelay)
		synctest.Wait()
		if n := cycles() - before; n != 2 {
			t.Errorf("%d collections, want 2", n)
		}
	})
}

// released returns how many bytes of the heap the kernel has.
func released() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapReleased)
}
