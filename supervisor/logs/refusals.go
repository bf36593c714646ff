package logs

import (
	"maps"
	"sync"
)

// Refusals is the access log of requests that the front door has answered itself,
// with no site. It counts them by status.
type Refusals struct {
	*AccessLog

	mu sync.Mutex
	// mu protects counts.
	counts map[int]int64 // by status
}

// Refusals returns the log of refused requests.
func (l *Logs) Refusals() *Refusals {
	return &Refusals{AccessLog: l.Access(Supervisor), counts: map[int]int64{}}
}

// Count counts a request and adds its line, as AccessLog.Add does.
func (r *Refusals) Count(status int, appendLine func([]byte) []byte) {
	r.mu.Lock()
	r.counts[status]++
	r.mu.Unlock()
	r.Add(appendLine)
}

// Counts returns how many requests there were, by status.
func (r *Refusals) Counts() map[int]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// Restore adds what was counted before an upgrade.
func (r *Refusals) Restore(counts map[int]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for status, n := range counts {
		r.counts[status] += n
	}
}
