package supervisor

import (
	"fmt"
	"sync"
)

const (
	// bornOverAllowed is how many workers in a row are replaced that were over
	// memory_limit when they had just begun: their first request may have been a large one.
	bornOverAllowed = 2
	megabyte        = 1_000_000
)

// memoryFloor learns that memory_limit is less than what a fresh worker holds.
// Each would be replaced by one that is over it too, for ever.
type memoryFloor struct {
	mu sync.Mutex
	// mu protects all below
	said    int64 // the memory_limit that all this is about
	born    int   // workers in a row that were over it from the start
	holds   int64 // what the last of them held
	instead int64 // holds in place of memory_limit; 0: nothing does
}

// limit is what workers are held to, where sites.toml says said.
func (f *memoryFloor) limit(said int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said != said {
		f.said, f.born, f.holds, f.instead = said, 0, 0, 0
	}
	return max(said, f.instead)
}

// over takes note of a worker that is over the limit, be it from the start. It
// tells whether the limit is found out to be too low, and the worker can stay.
func (f *memoryFloor) over(uss int64, fromStart bool) (tooLow bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !fromStart {
		f.born = 0
		return false
	}
	if f.born++; f.born <= bornOverAllowed || f.instead > 0 {
		return false
	}
	f.holds = uss
	f.instead = (uss*3/2/megabyte/10 + 1) * 10 * megabyte // a round number that is easily written
	return true
}

// String says what was learned, and what would be right; "": nothing.
func (f *memoryFloor) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instead == 0 {
		return ""
	}
	return fmt.Sprintf("memory_limit = %dMB is less than the %d MB that a worker holds when it has just begun: workers are replaced above %d MB instead; write memory_limit = \"%dMB\" or more",
		f.said/megabyte, f.holds/megabyte, f.instead/megabyte, f.instead/megabyte)
}
