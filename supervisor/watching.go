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
	touched marks
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
	k.reload(ctx, k.watched()) // what has changed since the sites were made
	k.watcher.Run(ctx, func(ctx context.Context, sites []string) {
		k.refresh()
		k.reload(ctx, sites)
	})
}

// refresh watches the directories that there are now.
func (k *watching) refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	look := k.super.lookAtCode()
	for rounds := 10; k.watcher.Set(k.subjects(look)) && rounds > 0; rounds-- { // a tree may grow while it is walked
		look = k.super.lookAtCode()
	}
	known := k.seen
	k.seen = map[string]seen{}
	for _, t := range k.super.all() {
		was, found := known[t.name]
		if !found {
			was = seen{touched: look.files(t.config().ReloadOn.Touch)}
		}
		k.seen[t.name] = was
	}
}

func (k *watching) subjects(look *codeLook) map[string]watch.Subject {
	subjects := map[string]watch.Subject{}
	for _, t := range k.super.all() {
		if c := t.config(); k.watches(c) {
			subjects[t.name] = look.subject(c, c.ReloadOn.Code || k.all)
		}
	}
	return subjects
}

func (k *watching) watches(c *config.Site) bool {
	return c.ReloadOn.Code || k.all || len(c.ReloadOn.Touch) > 0
}

// watched are the names of the sites that ask for it.
func (k *watching) watched() (names []string) {
	for _, t := range k.super.all() {
		if k.watches(t.config()) {
			names = append(names, t.name)
		}
	}
	return names
}

// reload reloads those of the sites whose files are others now.
func (k *watching) reload(ctx context.Context, sites []string) {
	k.super.reloadAndLog(ctx, func() (due []string) {
		look := k.super.lookAtCode()
		for _, t := range k.super.all() {
			if slices.Contains(sites, t.name) && k.hasChanged(t, look) {
				t.log.Info("files have changed: reload")
				due = append(due, t.name)
			}
		}
		return due
	})
}

func (k *watching) hasChanged(t *site, look *codeLook) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, last := t.config(), k.seen[t.name]
	now := seen{touched: look.files(c.ReloadOn.Touch)}
	changed := false
	for path, mark := range now.touched { // one that is gone was not touched
		changed = changed || last.touched[path] != mark
	}
	if c.ReloadOn.Code || k.all {
		now.code = look.tree(c)
		changed = changed || !now.code.equal(last.code) && !now.code.equal(t.code())
	}
	k.seen[t.name] = now
	return changed
}

// subject is the directories in which a site's reasons to reload lie.
func (l *codeLook) subject(c *config.Site, code bool) watch.Subject {
	var reasons []*codePart
	for _, path := range c.ReloadOn.Touch {
		reasons = append(reasons, l.part(place{aFile, path}))
	}
	if code {
		reasons = append(reasons, l.tree(c)...)
	}
	files, dirs := map[string]bool{}, map[string]bool{}
	for _, p := range reasons {
		addLinks(files, p.path)
		for _, dir := range p.dirs {
			dirs[dir] = true
		}
	}
	for path := range files {
		dirs[filepath.Dir(path)] = true
	}
	return watch.Subject{Dirs: slices.Sorted(maps.Keys(dirs)), Matters: func(path string) bool {
		return files[path] || slices.ContainsFunc(reasons, func(p *codePart) bool { return p.matters(path) })
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
