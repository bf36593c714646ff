package supervisor

import (
	"maps"
	"sync"

	"github.com/multisite/multisite/supervisor/proxy"
)

// refusals counts the requests that the front door has answered for itself, and writes
// a line for each.
type refusals struct {
	access *accessLog

	mu sync.Mutex
	// mu protects counts
	counts map[int]int64 // by status
}

func newRefusals(l *logs) *refusals {
	return &refusals{access: l.access("multisite"), counts: map[int]int64{}}
}

// add is for the front door's one thread: it may not wait.
func (r *refusals) add(of proxy.Refusal) {
	r.mu.Lock()
	r.counts[of.Status]++
	r.mu.Unlock()
	r.access.refuse(of)
}

// all returns how many there were, by status.
func (r *refusals) all() map[int]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// restore goes on from what was counted before an upgrade.
func (r *refusals) restore(counts map[int]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for status, n := range counts {
		r.counts[status] += n
	}
}
