// Package watch reports that files have changed, once for each burst of changes: an
// editor that writes several files, or a checkout, is one burst.
//
// A Watcher watches directories, and only the entries directly in them. Its user walks
// the tree to find the directories, does so again after each burst, and compares the
// files to find out whether anything that matters has changed: the kernel may report
// too much, and after an overflow of its queue it has reported too little.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// Options configures a Watcher. The zero value is valid.
type Options struct {
	Quiet time.Duration // a burst ends after so long without a change; default 300 ms
	Log   *slog.Logger  // default: discard
}

// Subject is a set of directories that are watched together, such as those of a site.
type Subject struct {
	Dirs    []string
	Matters func(path string) bool // reports whether a change of path counts; directories always do
}

// Watcher watches many subjects, each under a name.
type Watcher struct {
	quiet time.Duration
	log   *slog.Logger
	fs    *fsnotify.Watcher

	mu sync.Mutex
	// mu protects subjects, watchers, full
	subjects map[string]Subject
	watchers map[string][]string // for each directory the names of the subjects it belongs to
	full     bool                // the limit of the system was reached and logged
}

// New returns a Watcher that watches nothing yet. The caller must call Run or Close.
func New(o Options) (*Watcher, error) {
	if o.Quiet == 0 {
		o.Quiet = 300 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	fs, err := fsnotify.NewBufferedWatcher(1024)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	return &Watcher{quiet: o.Quiet, log: o.Log, fs: fs}, nil
}

// Set replaces the subjects. It reports whether it began to watch a directory: files in
// it may have changed before that, so the caller should look at it again.
func (w *Watcher) Set(subjects map[string]Subject) (more bool) {
	watchers := map[string][]string{}
	for name, s := range subjects {
		for _, dir := range s.Dirs {
			watchers[dir] = append(watchers[dir], name)
		}
	}
	w.mu.Lock()
	before := w.watchers
	w.subjects, w.watchers = subjects, watchers
	w.mu.Unlock()
	for dir := range before {
		if _, still := watchers[dir]; !still {
			_ = w.fs.Remove(dir) // the directory may have been removed
		}
	}
	known := w.fs.WatchList()
	slices.Sort(known)
	for dir := range watchers {
		if _, found := slices.BinarySearch(known, dir); !found {
			more = w.add(dir) || more
		}
	}
	return more
}

// add watches a directory and reports whether it could.
func (w *Watcher) add(dir string) bool {
	err := w.fs.Add(dir)
	switch {
	case errors.Is(err, unix.ENOSPC):
		w.mu.Lock()
		said := w.full
		w.full = true
		w.mu.Unlock()
		if !said {
			w.log.Warn("not every directory is watched: raise fs.inotify.max_user_watches (sysctl)", "error", err)
		}
	case err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, fsnotify.ErrClosed): // the directory was just removed, or the Watcher closed
		w.log.Warn("directory not watched", "directory", dir, "error", err)
	}
	return err == nil
}

// Run calls changed after each burst, with the names of the subjects that it concerns,
// until ctx is done. Calls do not overlap; changes during a call make another burst.
func (w *Watcher) Run(ctx context.Context, changed func(ctx context.Context, names []string)) {
	defer w.Close()
	dirty := burst{quiet: w.quiet, ends: map[string]time.Time{}}
	var call chan struct{} // closed when the running call of changed returns; nil if none runs
	for {
		var quiet <-chan time.Time
		if at, any := dirty.next(); any && call == nil {
			quiet = time.After(time.Until(at))
		}
		select {
		case e := <-w.fs.Events:
			dirty.note(w.concerned(e), time.Now())
		case err := <-w.fs.Errors:
			w.log.Warn("changes may have been missed", "error", err)
			dirty.note(w.all(), time.Now())
		case now := <-quiet:
			done, names := make(chan struct{}), dirty.take(now)
			call = done
			go func() {
				defer close(done)
				changed(ctx, names)
			}()
		case <-call:
			call = nil
		case <-ctx.Done():
			if call != nil {
				<-call
			}
			return
		}
	}
}

// Close releases the resources of w. Run calls it when it returns.
func (w *Watcher) Close() { _ = w.fs.Close() } // nothing to lose

// concerned returns the names of the subjects that an event matters to.
func (w *Watcher) concerned(e fsnotify.Event) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, watched := w.watchers[e.Name]
	tree := watched || e.Has(fsnotify.Create) && isDir(e.Name)
	for _, name := range w.watchers[filepath.Dir(e.Name)] {
		if tree || w.subjects[name].Matters(e.Name) {
			names = append(names, name)
		}
	}
	if watched { // the directory itself was removed or renamed
		names = append(names, w.watchers[e.Name]...)
	}
	return names
}

func (w *Watcher) all() (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.subjects {
		names = append(names, name)
	}
	return names
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
