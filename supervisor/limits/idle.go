package limits

import "time"

const (
	// idleTime is how long a worker must have had no request.
	idleTime = 10 * time.Minute
	// returnsAtLeast is how much more a worker must hold than a fresh one, in bytes and as
	// a part of what it holds: a fork also costs the first request some milliseconds.
	returnsAtLeast = 2 * megabyte
	returnsPart    = 4
	// eachWorkerEvery bounds how often the workers of a site are replaced, on average.
	eachWorkerEvery = time.Hour
)

// Idle finds workers of one site that are idle and hold more memory than a fresh fork:
// what a worker has written to since its fork it does not share any more. Its zero value
// is ready for use by one goroutine.
//
// The worker that was used last is never one of them. It gets the next request if that
// comes alone, so a visitor in a quiet hour finds a worker that has all its caches.
type Idle struct {
	seen     map[any]use // by Worker.Key, from the last Find
	fresh    int64       // USS of a worker that has answered nothing; 0: none was seen yet
	held     int64       // USS of the worker that Find returned, until its successor is seen; 0: there is none
	returned int64       // see Returned
	after    time.Time   // until then none is found
	usage    usage       // nil: that of processes
}

// use is what was seen of a worker's requests.
type use struct {
	requests int64
	since    time.Time // when requests were seen to have changed last
	measured bool      // it is not worth it to measure the worker again
}

// Grown is an idle worker that holds USS bytes, where a fresh fork holds Fresh; 0 if that
// is not known yet.
type Grown struct {
	Worker     Worker
	USS, Fresh int64
}

// Find looks at the workers of the site, and returns one that should be replaced by a
// fresh fork now, or nil. The caller calls it about once a minute.
func (i *Idle) Find(now time.Time, workers []Worker) *Grown {
	if i.usage == nil {
		i.usage = processes{}
	}
	i.look(now, workers)
	if now.Before(i.after) {
		return nil
	}
	var found *Grown
	last := i.usedLast(workers)
	for _, w := range workers {
		u := i.seen[w.Key]
		if w.Requests == 0 || w.Key == last || u.measured || now.Sub(u.since) < idleTime {
			continue
		}
		uss := i.usage.USS(w.PID)
		if returns := uss - i.fresh; returns < returnsAtLeast || returns < uss/returnsPart {
			u.measured = true
			i.seen[w.Key] = u
			continue
		}
		if found == nil || uss > found.USS {
			found = &Grown{w, uss, i.fresh}
		}
	}
	if found != nil {
		i.held = found.USS
		i.after = now.Add(eachWorkerEvery / time.Duration(len(workers)))
	}
	return found
}

// Returned returns how much less the fresh worker holds than the one that it has replaced,
// in bytes, once for each; otherwise 0.
func (i *Idle) Returned() int64 {
	returned := i.returned
	i.returned = 0
	return returned
}

// Missed takes notice that the worker that Find returned last is not replaced: a fresh one
// that comes next returns nothing.
func (i *Idle) Missed() { i.held = 0 }

// look notes which workers have answered requests since the last time, and measures those
// that are fresh. That also shows what a replacement has returned: if it was too little,
// the next workers are not worth it.
func (i *Idle) look(now time.Time, workers []Worker) {
	seen := make(map[any]use, len(workers))
	for _, w := range workers {
		u, known := i.seen[w.Key]
		if !known || u.requests != w.Requests || w.Active > 0 { // a long request is none that may be cut
			u = use{requests: w.Requests, since: now}
		}
		if w.Requests == 0 && !u.measured {
			i.fresh, u.measured = i.usage.USS(w.PID), true
			if i.held > 0 {
				i.returned, i.held = i.held-i.fresh, 0
			}
		}
		seen[w.Key] = u
	}
	i.seen = seen
}

// usedLast returns the Key of the worker that has answered last; of several in the same
// minute, that with the most requests.
func (i *Idle) usedLast(workers []Worker) any {
	var last Worker
	for _, w := range workers {
		since, before := i.seen[w.Key].since, i.seen[last.Key].since
		if w.Requests > 0 && (since.After(before) || since.Equal(before) && w.Requests > last.Requests) {
			last = w
		}
	}
	return last.Key
}
