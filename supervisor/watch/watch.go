// Package watch tells when files have changed, once for each burst of changes: an
// editor that writes several files, or a checkout, is one change.
//
// What is watched are directories, each for what lies in it, not below. Whoever
// sets them walks the tree, sets again what it finds after each change, and looks
// at the files to find out whether anything that matters is different: the kernel
// may tell too much, and after an overflow it has told too little.
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

// Options are what a Watcher is made of. The zero value is valid.
type Options struct {
	Quiet time.Duration // without a change ends a burst; default 300 ms
	Log   *slog.Logger  // default: discard
}

// Subject is what is watched for somebody.
type Subject struct {
	Dirs    []string               // for what lies directly in them
	Matters func(path string) bool // which paths count; new and watched directories do always
}

// Watcher watches on behalf of many subjects, known by name.
type Watcher struct {
	quiet time.Duration
	log   *slog.Logger
	fs    *fsnotify.Watcher

	mu sync.Mutex
	// mu protects all below
	subjects map[string]Subject
	watchers map[string][]string // of each directory: the names that watch it
	full     bool                // the system watches no more; said once
}

// New returns a Watcher that watches nothing yet. It must be run, or closed.
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

// Set replaces what is watched. It tells whether a directory is new: what was in
// it before may have been made unseen, and is worth another look.
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
			_ = w.fs.Remove(dir) // it may be gone
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
	case err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, fsnotify.ErrClosed): // it or we have just gone
		w.log.Warn("not watched", "directory", dir, "error", err)
	}
	return err == nil
}

// Run calls changed after each burst, with the names of those it matters to, never
// twice at a time, until ctx ends. What happens during a call is another burst.
func (w *Watcher) Run(ctx context.Context, changed func(ctx context.Context, names []string)) {
	defer w.Close()
	dirty := burst{quiet: w.quiet, due: map[string]time.Time{}}
	var call chan struct{} // closed when changed has returned; nil: it is not running
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

// Close gives back what New took. Run does so at its end.
func (w *Watcher) Close() { _ = w.fs.Close() } // nothing was written

// concerned returns the names that an event matters to.
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
	if watched { // a directory that has gone itself
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
