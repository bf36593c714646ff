package watch

import (
	"slices"
	"time"
)

// burst knows whose files are changing, and when each has been quiet long enough.
type burst struct {
	quiet time.Duration
	due   map[string]time.Time
}

// note puts off the end of the burst.
func (b *burst) note(names []string, now time.Time) {
	for _, name := range names {
		b.due[name] = now.Add(b.quiet)
	}
}

// next returns when the first of them is due.
func (b *burst) next() (at time.Time, any bool) {
	for _, due := range b.due {
		if !any || due.Before(at) {
			at, any = due, true
		}
	}
	return at, any
}

// take returns those that are due, in order. Those who watch the same files are
// due together.
func (b *burst) take(now time.Time) (names []string) {
	for name, due := range b.due {
		if !due.After(now) {
			names = append(names, name)
			delete(b.due, name)
		}
	}
	slices.Sort(names)
	return names
}
