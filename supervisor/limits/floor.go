package limits

import (
	"fmt"
	"sync"
)

const (
	// freshAllowed is how many workers in a row are replaced although they were over
	// memory_limit from their start: their first request may have been a large one.
	freshAllowed = 2
	megabyte     = 1_000_000
)

// floor finds out that memory_limit is less than what a fresh worker takes, so that
// each worker would be replaced by another one that is over it, too, for ever. It holds
// for one value of memory_limit.
type floor struct {
	mu sync.Mutex
	// mu protects all below.
	configured int64 // the memory_limit
	fresh      int   // workers in a row that were over it from their start
	takes      int64 // what the last of them took
	instead    int64 // used instead of memory_limit; 0: it is not too low
}

// limit returns what workers are held to when sites.toml says configured.
func (f *floor) limit(configured int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.configured != configured {
		f.configured, f.fresh, f.takes, f.instead = configured, 0, 0, 0
	}
	return max(configured, f.instead)
}

// exceeded notes that a worker is over the limit, maybe since its start. It reports
// whether the limit has turned out to be too low, so that the worker can stay.
func (f *floor) exceeded(uss int64, sinceStart bool) (tooLow bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !sinceStart {
		f.fresh = 0
		return false
	}
	if f.fresh++; f.fresh <= freshAllowed || f.instead > 0 {
		return false
	}
	f.takes = uss
	f.instead = (uss*3/2/megabyte/10 + 1) * 10 * megabyte // a round number, easy to write in sites.toml
	return true
}

// String says that memory_limit is too low, and what would be right; "" if it is not.
func (f *floor) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instead == 0 {
		return ""
	}
	return fmt.Sprintf("memory_limit = %dMB is less than the %d MB that a worker holds when it has just begun: workers are replaced above %d MB instead; write memory_limit = \"%dMB\" or more",
		f.configured/megabyte, f.takes/megabyte, f.instead/megabyte, f.instead/megabyte)
}
