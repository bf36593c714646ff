package watch

import (
	"slices"
	"time"
)

// burst tracks the subjects whose files are changing.
type burst struct {
	quiet time.Duration        // how long nothing must change before a burst ends
	ends  map[string]time.Time // when the burst of each subject ends, if nothing else changes
}

// note begins the bursts of the named subjects, or extends them.
func (b *burst) note(names []string, now time.Time) {
	for _, name := range names {
		b.ends[name] = now.Add(b.quiet)
	}
}

// next returns when the first burst ends.
func (b *burst) next() (at time.Time, any bool) {
	for _, ends := range b.ends {
		if !any || ends.Before(at) {
			at, any = ends, true
		}
	}
	return at, any
}

// take removes the subjects whose burst has ended by now, and returns them sorted.
// Subjects that watch the same files are returned together.
func (b *burst) take(now time.Time) (names []string) {
	for name, ends := range b.ends {
		if !ends.After(now) {
			names = append(names, name)
			delete(b.ends, name)
		}
	}
	slices.Sort(names)
	return names
}
