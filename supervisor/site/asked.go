package site

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

const (
	// maxAsked bounds the table of a site, and maxAskedPath each path in it. The last
	// newcomers places of the table are for paths that were not there before.
	maxAsked     = 64
	newcomers    = 16
	maxAskedPath = 200
	// maxAskedTotal is the sum of the counts at which all are halved, so that the pages of
	// last month give way to those of today.
	maxAskedTotal = 20_000
)

// Asked counts which pages of a site visitors ask for most, in a table of fixed size. The
// zero value is ready to use. It outlives reloads.
//
// A path that finds no room takes the place of the least asked newcomer. A newcomer takes
// the place of an older page once it was asked for more often. So paths that are requested
// once or twice, however many, displace only each other, and to push out a page takes more
// requests for one path than the page has had.
type Asked struct {
	mu sync.Mutex
	// mu protects all below
	index map[string]int // of each path in pages
	pages []AskedPage    // the newcomers are last
	hand  int            // the newcomer whose count was halved last
	total int            // the sum of the counts
}

// AskedPage is a page and how often it was asked for.
type AskedPage struct {
	Path  string `json:"path"` // as a warm-up path: below the site's mount
	Count int    `json:"count"`
}

// Count counts a request for a page, unless a warm-up cannot request it. It copies the path
// if it keeps it.
func (a *Asked) Count(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, found := a.index[path]
	if !found {
		if !isWarmupPath(path) {
			return
		}
		i = a.enterLocked(path)
	}
	a.pages[i].Count++
	if i >= maxAsked-newcomers {
		a.promoteLocked(i)
	}
	if a.total++; a.total >= maxAskedTotal {
		a.halveLocked()
	}
}

// enterLocked gives a path a place, with the count 0.
func (a *Asked) enterLocked(path string) int {
	if a.index == nil {
		a.index = make(map[string]int, maxAsked)
	}
	place := len(a.pages)
	if place < maxAsked {
		a.pages = append(a.pages, AskedPage{})
	} else {
		a.fadeLocked()
		place = a.leastLocked(maxAsked-newcomers, maxAsked)
		a.total -= a.pages[place].Count
		delete(a.index, a.pages[place].Path)
	}
	path = strings.Clone(path) // it is part of a whole request
	a.index[path], a.pages[place] = place, AskedPage{Path: path}
	return place
}

// fadeLocked halves the count of one newcomer, of each in turn. Else those that nobody asks
// for any more would leave a single place, in which no path could last.
func (a *Asked) fadeLocked() {
	if a.hand++; a.hand < maxAsked-newcomers || a.hand >= maxAsked {
		a.hand = maxAsked - newcomers
	}
	p := &a.pages[a.hand]
	a.total -= p.Count - p.Count/2
	p.Count /= 2
}

// leastLocked returns the place of the least asked page of those from first to before end.
func (a *Asked) leastLocked(first, end int) int {
	least := first
	for place := first; place < end; place++ {
		if a.pages[place].Count < a.pages[least].Count {
			least = place
		}
	}
	return least
}

// promoteLocked lets the newcomer in a place change places with the least asked of the
// others if it is asked for more.
func (a *Asked) promoteLocked(place int) {
	least := a.leastLocked(0, maxAsked-newcomers)
	if a.pages[place].Count <= a.pages[least].Count {
		return
	}
	a.pages[place], a.pages[least] = a.pages[least], a.pages[place]
	a.index[a.pages[place].Path], a.index[a.pages[least].Path] = place, least
}

func (a *Asked) halveLocked() {
	pages := a.pages
	a.index, a.pages, a.total = make(map[string]int, maxAsked), nil, 0
	for _, p := range pages {
		if p.Count /= 2; p.Count > 0 {
			a.index[p.Path] = len(a.pages)
			a.pages = append(a.pages, p)
			a.total += p.Count
		}
	}
}

// Pages returns the pages that were asked for, the most asked first.
func (a *Asked) Pages() []AskedPage {
	a.mu.Lock()
	pages := slices.Clone(a.pages)
	a.mu.Unlock()
	slices.SortFunc(pages, func(p, q AskedPage) int {
		return cmp.Or(cmp.Compare(q.Count, p.Count), cmp.Compare(p.Path, q.Path))
	})
	return pages
}

// Restore adds pages that were counted before a restart or an upgrade. Those that this
// table would not have counted are left out.
func (a *Asked) Restore(pages []AskedPage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range pages {
		if _, found := a.index[p.Path]; found || len(a.pages) == maxAsked || !isWarmupPath(p.Path) || p.Count < 1 || p.Count > maxAskedTotal {
			continue
		}
		a.pages[a.enterLocked(p.Path)].Count = p.Count
		a.total += p.Count
	}
}
