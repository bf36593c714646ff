package pool

import (
	"hash/maphash"
	"time"
)

const (
	mostEnds   = 2                // workers that may end of one request
	deadlyTime = 30 * time.Second // how long its name is remembered, from the last of them on
	mostDeadly = 64               // names of a site that are remembered
)

// deadly remembers, by their names, the requests of a site that its workers ended of,
// and when the last one did. The pool's mutex protects it.
type deadly struct {
	seed maphash.Seed
	last map[uint64]time.Time
}

func newDeadly() deadly { return deadly{maphash.MakeSeed(), map[uint64]time.Time{}} }

// add remembers a request from now on.
func (d *deadly) add(what string, now time.Time) {
	key := maphash.String(d.seed, what)
	if _, known := d.last[key]; !known && len(d.last) >= mostDeadly {
		d.forget()
	}
	d.last[key] = now
}

// has tells whether a request is remembered.
func (d *deadly) has(what string, now time.Time) bool {
	last, known := d.last[maphash.String(d.seed, what)]
	return known && now.Sub(last) <= deadlyTime
}

// forget makes room for one more.
func (d *deadly) forget() {
	var oldest uint64
	for key, last := range d.last {
		if before, ok := d.last[oldest]; !ok || last.Before(before) {
			oldest = key
		}
	}
	delete(d.last, oldest)
}
