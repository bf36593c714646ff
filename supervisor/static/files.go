package static

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/site"
)

const (
	freshFor  = time.Second            // what was found counts
	renewFrom = 500 * time.Millisecond // what is asked for is looked up again, before it is too old
	idleFor   = 10 * time.Second       // what nobody asks for is kept
	scarceFor = time.Second            // no file is kept after GiveUp

	maxEntries = 4096
	maxFiles   = 1024
	maxPath    = 1 << 10 // of a request whose file is kept
)

// Files is what the front door has looked up lately, with the files that it has open. Any
// goroutine may use it.
type Files struct {
	disk   *disk
	most   int           // files that are kept open
	coders chan struct{} // has an element for each file that is being encoded

	mu sync.Mutex
	// mu protects all below
	entries map[key]*entry
	open    int               // files of entries
	finding map[key][]waiting // lookups under way, and who waits for each
	sweeper *time.Timer       // nil: nothing is kept
	scarce  time.Time         // when descriptors last were short
	clears  int               // how often all was forgotten

	manifests map[manifestKey]*manifest
	made      map[madeKey]*made    // files that were encoded
	making    map[madeKey][]func() // those that are being encoded, and who waits for each
	madeBytes int64                // of all that were encoded
	madeOf    map[string]int64     // of those of a site
}

// key is a request. A reload makes another site of it, so its files are looked up again.
type key struct {
	site *site.Site
	in   *site.Static // nil: what the site's Static has
	path string
}

// waiting is who waits for a lookup.
type waiting struct {
	wanted Wanted
	done   func(Found)
}

// Found is what a client gets for the path of a request. Whoever gets it calls Release.
type Found struct {
	File     *File  // nil: there is none
	Only     bool   // there is none, and no worker is to be asked
	Location string // the path of a directory with an index, with the slash that was missing
}

// IsNothing reports whether a worker is to be asked.
func (f Found) IsNothing() bool { return f == Found{} }

type entry struct {
	found   located
	checked time.Time // when the lookup began
	used    time.Time
}

// New returns an empty cache.
func New() *Files {
	return &Files{
		disk: newDisk(), most: mostFiles(), coders: make(chan struct{}, coders()), entries: map[key]*entry{}, finding: map[key][]waiting{},
		manifests: map[manifestKey]*manifest{}, made: map[madeKey]*made{}, making: map[madeKey][]func(){}, madeOf: map[string]int64{},
	}
}

// mostFiles returns how many descriptors may be used to keep files open.
func mostFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 16
	}
	return int(min(limit.Cur/16, maxFiles))
}

// Cached returns what is known of a path, without waiting. ok is false if Find must be
// asked.
func (f *Files) Cached(s *site.Site, w Wanted) (found Found, ok bool) {
	now, k := time.Now(), key{s, w.In, w.Path}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[k]
	if e == nil || now.Sub(e.checked) >= freshFor {
		return Found{}, false
	}
	found, need := f.chooseLocked(k, &e.found, w)
	if need != coding.Identity {
		return Found{}, false
	}
	e.used = now
	if _, renewing := f.finding[k]; !renewing && now.Sub(e.checked) > renewFrom {
		f.findLocked(k)
	}
	return found, true
}

// ErrSlow means that a disk has not answered for too long.
var ErrSlow = errors.New("the disk does not answer")

// Patience is how long a request waits for a disk.
const Patience = 10 * time.Second

// Wait returns what Cached or Find do, ErrSlow after Patience, or why ctx has ended.
func (f *Files) Wait(ctx context.Context, s *site.Site, w Wanted) (Found, error) {
	if found, ok := f.Cached(s, w); ok {
		return found, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, ErrSlow)
	defer cancel()
	given := make(chan Found)
	f.Find(s, w, func(found Found) {
		select {
		case given <- found:
		case <-ctx.Done():
			found.Release()
		}
	})
	select {
	case found := <-given:
		return found, nil
	case <-ctx.Done():
		return Found{}, context.Cause(ctx)
	}
}

// Find looks a path up, and calls done with what it has found: on another goroutine, and
// late if the disk is slow.
func (f *Files) Find(s *site.Site, w Wanted, done func(Found)) {
	k := key{s, w.In, w.Path}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, under := f.finding[k]; !under {
		f.findLocked(k)
	}
	f.finding[k] = append(f.finding[k], waiting{w, done})
}

// findLocked starts a lookup. All that ask for the same meanwhile wait for it.
func (f *Files) findLocked(k key) {
	f.finding[k] = nil
	clears := f.clears
	f.disk.run(k.site.Name, func() {
		began := time.Now()
		found, err := f.locate(k)
		if err != nil && f.GiveUp() {
			found, err = f.locate(k)
		}
		for _, done := range f.found(k, found, err == nil, began, clears) {
			done()
		}
		found.release()
	})
}

// found notes what a lookup has found, and returns what tells those that wait for it.
// clears is what it was when the lookup was asked for.
func (f *Files) found(k key, found located, certain bool, began time.Time, clears int) (tell []func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	certain = certain && clears == f.clears
	if old := f.entries[k]; certain && old != nil && old.found.same(&found) {
		old.checked = began
	} else {
		f.dropLocked(k)
		if certain {
			f.keepLocked(k, found, began)
		}
	}
	for _, one := range f.finding[k] {
		if done := f.giveLocked(k, &found, one); done != nil {
			tell = append(tell, done)
		}
	}
	delete(f.finding, k)
	return tell
}

// giveLocked returns what tells somebody what was found; nil if that has to be encoded
// first, which tells it then.
func (f *Files) giveLocked(k key, found *located, to waiting) func() {
	own, need := f.chooseLocked(k, found, to.wanted)
	if need == coding.Identity {
		return func() { to.done(own) }
	}
	l, plain := found.take(), to.wanted
	plain.Plain = true
	give := func(w Wanted) {
		f.mu.Lock()
		own, need := f.chooseLocked(k, &l, w)
		if need != coding.Identity { // it was forgotten again
			own, _ = f.chooseLocked(k, &l, plain)
		}
		f.mu.Unlock()
		l.release()
		to.done(own)
	}
	if f.encodeLocked(k.site, found.file, need, func() { give(to.wanted) }) {
		return nil
	}
	return func() { give(plain) }
}

func (f *Files) keepLocked(k key, found located, began time.Time) {
	switch {
	case len(k.path) > maxPath, found.file != nil && began.Sub(f.scarce) < scarceFor:
		return
	case found.file == nil && found.only: // the file may be about to be uploaded, and no worker would have it
		return
	}
	for len(f.entries) >= maxEntries || found.file != nil && f.open >= f.most && f.open > 0 {
		f.dropOldestLocked(found.file != nil && f.open >= f.most)
	}
	f.entries[k] = &entry{found: found.take(), checked: began, used: time.Now()}
	f.open += found.descriptors()
	f.sweepLaterLocked()
}

func (f *Files) sweepLaterLocked() {
	if f.sweeper == nil {
		f.sweeper = time.AfterFunc(idleFor/2, f.sweep)
	}
}

// dropOldestLocked drops the least recently used of some entries.
func (f *Files) dropOldestLocked(withFile bool) {
	const some = 8
	var oldest key
	n := 0
	for k, e := range f.entries { // in random order
		if withFile && e.found.file == nil {
			continue
		}
		if n == 0 || e.used.Before(f.entries[oldest].used) {
			oldest = k
		}
		if n++; n == some {
			break
		}
	}
	f.dropLocked(oldest)
}

// dropLocked forgets an entry. It reports whether that closes a file.
func (f *Files) dropLocked(k key) (closed bool) {
	e := f.entries[k]
	if e == nil {
		return false
	}
	delete(f.entries, k)
	f.open -= e.found.descriptors()
	return e.found.release()
}

// sweep drops what nobody has asked for.
func (f *Files) sweep() {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, e := range f.entries {
		if now.Sub(e.used) > idleFor {
			f.dropLocked(k)
		}
	}
	for k, m := range f.made {
		if now.Sub(m.used) > madeIdleFor {
			f.dropMadeLocked(k)
		}
	}
	if f.sweeper = nil; len(f.entries)+len(f.made) > 0 {
		f.sweepLaterLocked()
	}
}

// Forget forgets what was found for a path, because it was not true.
func (f *Files) Forget(s *site.Site, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropLocked(key{site: s, path: path})
}

// Clear forgets everything but what was encoded, which is found again by the identity of the
// file. Files that are being sent stay open until they were.
func (f *Files) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clearLocked()
}

func (f *Files) clearLocked() (closed bool) {
	f.clears++
	for k := range f.entries {
		closed = f.dropLocked(k) || closed
	}
	if f.sweeper != nil && len(f.made) == 0 {
		f.sweeper.Stop()
		f.sweeper = nil
	}
	return closed
}

// GiveUp closes the files that are kept, because descriptors are short, and keeps none for
// a while. It reports whether it has closed any.
func (f *Files) GiveUp() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scarce = time.Now()
	return f.clearLocked()
}

// Release ends the use of what was found.
func (f Found) Release() {
	if f.File != nil {
		f.File.Release()
	}
}
