package static

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

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
	disk *disk
	most int // files that are kept open

	mu sync.Mutex
	// mu protects all below
	entries map[key]*entry
	open    int                   // entries with a file
	finding map[key][]func(Found) // lookups under way, and who waits for each
	sweeper *time.Timer           // nil: there are no entries
	scarce  time.Time             // when descriptors last were short
	clears  int                   // how often all was forgotten
}

// key is a request. A reload makes another site of it, so its files are looked up again.
type key struct {
	site *site.Site
	path string
}

type entry struct {
	found   Found
	checked time.Time // when the lookup began
	used    time.Time
}

// New returns an empty cache.
func New() *Files {
	return &Files{disk: newDisk(), most: mostFiles(), entries: map[key]*entry{}, finding: map[key][]func(Found){}}
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
func (f *Files) Cached(s *site.Site, path string) (found Found, ok bool) {
	now, k := time.Now(), key{s, path}
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entries[k]
	if e == nil || now.Sub(e.checked) >= freshFor {
		return Found{}, false
	}
	e.used = now
	if _, renewing := f.finding[k]; !renewing && now.Sub(e.checked) > renewFrom {
		f.findLocked(k)
	}
	return e.found.take(), true
}

// ErrSlow means that a disk has not answered for too long.
var ErrSlow = errors.New("the disk does not answer")

// Patience is how long a request waits for a disk.
const Patience = 10 * time.Second

// Wait returns what Cached or Find do, ErrSlow after Patience, or why ctx has ended.
func (f *Files) Wait(ctx context.Context, s *site.Site, path string) (Found, error) {
	if found, ok := f.Cached(s, path); ok {
		return found, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, ErrSlow)
	defer cancel()
	given := make(chan Found)
	f.Find(s, path, func(found Found) {
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
func (f *Files) Find(s *site.Site, path string, done func(Found)) {
	k := key{s, path}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, under := f.finding[k]; !under {
		f.findLocked(k)
	}
	f.finding[k] = append(f.finding[k], done)
}

// findLocked starts a lookup. All that ask for the same meanwhile wait for it.
func (f *Files) findLocked(k key) {
	f.finding[k] = nil
	clears := f.clears
	f.disk.run(k.site.Name, func() {
		began := time.Now()
		found, err := f.locate(k.site, k.path)
		if err != nil && f.GiveUp() {
			found, err = f.locate(k.site, k.path)
		}
		for _, done := range f.found(k, found, err == nil, began, clears) {
			done()
		}
		found.Release()
	})
}

// found notes what a lookup has found, and returns what tells those that wait for it.
// clears is what it was when the lookup was asked for.
func (f *Files) found(k key, found Found, certain bool, began time.Time, clears int) (tell []func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	certain = certain && clears == f.clears
	if old := f.entries[k]; certain && old != nil && old.found.File != nil && found.File != nil && old.found.File.id == found.File.id {
		old.checked = began
	} else {
		f.dropLocked(k)
		if certain {
			f.keepLocked(k, found, began)
		}
	}
	for _, done := range f.finding[k] {
		own := found.take()
		tell = append(tell, func() { done(own) })
	}
	delete(f.finding, k)
	return tell
}

func (f *Files) keepLocked(k key, found Found, began time.Time) {
	switch {
	case len(k.path) > maxPath, found.File != nil && began.Sub(f.scarce) < scarceFor:
		return
	case found.File == nil && found.Only: // the file may be about to be uploaded, and no worker would have it
		return
	}
	for len(f.entries) >= maxEntries || found.File != nil && f.open >= f.most && f.open > 0 {
		f.dropOldestLocked(found.File != nil && f.open >= f.most)
	}
	f.entries[k] = &entry{found: found.take(), checked: began, used: time.Now()}
	if found.File != nil {
		f.open++
	}
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
		if withFile && e.found.File == nil {
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
	if e.found.File == nil {
		return false
	}
	f.open--
	return e.found.File.Release()
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
	if f.sweeper = nil; len(f.entries) > 0 {
		f.sweeper = time.AfterFunc(idleFor/2, f.sweep)
	}
}

// Forget forgets what was found for a path, because it was not true.
func (f *Files) Forget(s *site.Site, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropLocked(key{s, path})
}

// Clear forgets everything. Files that are being sent stay open until they were.
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
	if f.sweeper != nil {
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

// take returns what was found for another user.
func (f Found) take() Found {
	if f.File != nil {
		f.File.refs.Add(1)
	}
	return f
}

// Release ends the use of what was found.
func (f Found) Release() {
	if f.File != nil {
		f.File.Release()
	}
}
