package pool

import (
	"hash/maphash"
	"time"
)

const (
	mostDeaths = 2                // workers that may die of one request
	deadlyTime = 30 * time.Second // how long a deadly request is remembered after its last victim
	mostDeadly = 64               // deadly requests that a pool remembers
)

// deadly remembers by their names the requests that workers of the site died of, and
// when the last worker did. The pool's mutex protects it.
type deadly struct {
	seed maphash.Seed
	last map[uint64]time.Time // by the hash of the name
}

func newDeadly() deadly { return deadly{maphash.MakeSeed(), map[uint64]time.Time{}} }

// add remembers a request from now on.
func (d *deadly) add(what string, now time.Time) {
	key := maphash.String(d.seed, what)
	if _, known := d.last[key]; !known && len(d.last) >= mostDeadly {
		d.forgetOldest()
	}
	d.last[key] = now
}

// has reports whether a request is remembered.
func (d *deadly) has(what string, now time.Time) bool {
	last, known := d.last[maphash.String(d.seed, what)]
	return known && now.Sub(last) <= deadlyTime
}

func (d *deadly) forgetOldest() {
	var oldest uint64
	for key, last := range d.last {
		if before, ok := d.last[oldest]; !ok || last.Before(before) {
			oldest = key
		}
	}
	delete(d.last, oldest)
}
