package supervisor

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/watch"
)

// watching reloads the sites whose files change, those that ask for it in
// reload_on or, with `up --watch`, all. What reload tells from what was tried last
// is the files themselves: a change that is undone, or that a reload by hand has
// seen already, is none.
type watching struct {
	super   *Supervisor
	all     bool
	watcher *watch.Watcher

	mu sync.Mutex
	// mu protects seen, and lets one refresh run at a time
	seen map[string]seen // by site
}

// seen is what a site's files were when they were last looked at.
type seen struct {
	code    codeTree // that was tried; nil: none yet
	touched codeTree
}

func (s *Supervisor) newWatching(all bool) (*watching, error) {
	w, err := watch.New(watch.Options{Log: s.log})
	if err != nil {
		return nil, err
	}
	return &watching{super: s, all: all, watcher: w, seen: map[string]seen{}}, nil
}

// run watches until ctx ends.
func (k *watching) run(ctx context.Context) {
	k.refresh()
	k.reload(ctx, slices.Collect(maps.Keys(k.subjects()))) // what has changed since the sites were made
	k.watcher.Run(ctx, func(ctx context.Context, sites []string) {
		k.refresh()
		k.reload(ctx, sites)
	})
}

// refresh watches the directories that there are now.
func (k *watching) refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	const rounds = 10 // of a tree that grows while it is walked
	for range rounds {
		if !k.watcher.Set(k.subjects()) {
			break
		}
	}
	known := k.seen
	k.seen = map[string]seen{}
	for _, t := range k.super.all() {
		was, found := known[t.name]
		if !found {
			was = seen{touched: readFiles(t.config().ReloadOn.Touch)}
		}
		k.seen[t.name] = was
	}
}

func (k *watching) subjects() map[string]watch.Subject {
	subjects := map[string]watch.Subject{}
	for _, t := range k.super.all() {
		c := t.config()
		if code := c.ReloadOn.Code || k.all; code || len(c.ReloadOn.Touch) > 0 {
			subjects[t.name] = subjectOf(c, code)
		}
	}
	return subjects
}

// reload reloads those of the sites whose files are others now.
func (k *watching) reload(ctx context.Context, sites []string) {
	k.super.reloadAndLog(ctx, func() (due []string) {
		for _, t := range k.super.all() {
			if slices.Contains(sites, t.name) && k.hasChanged(t) {
				t.log.Info("files have changed: reload")
				due = append(due, t.name)
			}
		}
		return due
	})
}

func (k *watching) hasChanged(t *site) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, last := t.config(), k.seen[t.name]
	now := seen{touched: readFiles(c.ReloadOn.Touch)}
	changed := false
	for path, mark := range now.touched { // one that is gone was not touched
		changed = changed || last.touched[path] != mark
	}
	if c.ReloadOn.Code || k.all {
		now.code = readCodeTree(c)
		changed = changed || !now.code.equal(last.code) && !now.code.equal(t.code())
	}
	k.seen[t.name] = now
	return changed
}

// code is what the site's workers run.
func (t *site) code() codeTree {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current.code
}

func readFiles(paths []string) codeTree {
	t := codeTree{}
	for _, path := range paths {
		t.add(path)
	}
	return t
}

// subjectOf are the directories in which a site's reasons to reload lie.
func subjectOf(c *config.Site, code bool) watch.Subject {
	files, trees, packages := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, path := range c.ReloadOn.Touch {
		addLinks(files, path)
	}
	if code {
		for _, path := range []string{c.WSGI, c.App, c.Settings, c.Python} {
			if filepath.IsAbs(path) {
				addLinks(files, path)
			}
		}
	}
	if code && c.Kind == config.WSGI {
		for _, dir := range packageDirs(c) {
			packages[dir] = true
		}
		for _, root := range codeRoots(c) {
			addLinks(files, root)
			if real, err := filepath.EvalSymlinks(root); err == nil {
				root = real
			}
			walkCode(root, func(path string, isDir bool) bool {
				if isDir {
					trees[path] = true
				}
				return len(trees) < maxCodeFiles
			})
		}
	}
	dirs := maps.Clone(trees)
	maps.Copy(dirs, packages)
	for path := range files {
		dirs[filepath.Dir(path)] = true
	}
	return watch.Subject{Dirs: slices.Sorted(maps.Keys(dirs)), Matters: func(path string) bool {
		dir := filepath.Dir(path)
		return files[path] || trees[dir] && isCode(path) || packages[dir] && filepath.Base(path) != "__pycache__"
	}}
}

// addLinks adds a path and the symbolic links on the way to it: releases are
// switched by one.
func addLinks(files map[string]bool, path string) {
	files[path] = true
	for p := path; p != filepath.Dir(p); p = filepath.Dir(p) {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			files[p] = true
		}
	}
}
