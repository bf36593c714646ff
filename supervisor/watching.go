package supervisor

import (
	"context"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/watch"
)

// watching reloads sites when their files change: those with reload_on or, with
// `up --watch`, all. A notification of the kernel only makes it compare the files with
// those that were loaded last, so a change that was undone, or that a reload by hand has
// loaded already, does nothing.
type watching struct {
	super   *Supervisor
	all     bool // also sites without reload_on
	watcher *watch.Watcher

	mu sync.Mutex
	// mu protects seen. It is held by refresh, so that one runs at a time.
	seen map[string]seen // by name of the site
}

// seen describes a site's files as they were when they were compared last.
type seen struct {
	code    code.Tree  // the code that was loaded last; nil: none yet
	touched code.Marks // the files of reload_on
}

func (s *Supervisor) newWatching(all bool) (*watching, error) {
	w, err := watch.New(watch.Options{Log: s.log})
	if err != nil {
		return nil, err
	}
	return &watching{super: s, all: all, watcher: w, seen: map[string]seen{}}, nil
}

// run watches and reloads until ctx ends.
func (k *watching) run(ctx context.Context) {
	k.refresh()
	k.reload(ctx, k.watched()) // what has changed since the sites were made
	k.watcher.Run(ctx, func(ctx context.Context, sites []string) {
		k.refresh()
		k.reload(ctx, sites)
	})
}

// refresh makes the watcher watch the directories that exist now.
func (k *watching) refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	look := k.super.lookAtCode()
	for rounds := 10; k.watcher.Set(k.subjects(look)) && rounds > 0; rounds-- { // a tree may grow while it is walked
		look = k.super.lookAtCode()
	}
	known := k.seen
	k.seen = map[string]seen{}
	for _, t := range k.super.sites.all() {
		was, found := known[t.name]
		if !found {
			was = seen{touched: look.Files(t.config().ReloadOn.Touch)}
		}
		k.seen[t.name] = was
	}
}

// subjects returns what is watched, by name of the site.
func (k *watching) subjects(look *code.Look) map[string]watch.Subject {
	subjects := map[string]watch.Subject{}
	for _, t := range k.super.sites.all() {
		if c := t.config(); k.watches(c) {
			subjects[t.name] = k.subject(c, look)
		}
	}
	return subjects
}

// watches reports whether a site is watched.
func (k *watching) watches(c *config.Site) bool {
	return c.ReloadOn.Code || k.all || len(c.ReloadOn.Touch) > 0
}

// watched returns the names of the sites that are watched.
func (k *watching) watched() (names []string) {
	for _, t := range k.super.sites.all() {
		if k.watches(t.config()) {
			names = append(names, t.name)
		}
	}
	return names
}

// reload reloads those of the sites whose files have changed.
func (k *watching) reload(ctx context.Context, sites []string) {
	k.super.reloader.reloadAndLog(ctx, func() (due []string) {
		look := k.super.lookAtCode()
		for _, t := range k.super.sites.all() {
			if slices.Contains(sites, t.name) && k.hasChanged(t, look) {
				t.log.Info("files have changed: reload")
				due = append(due, t.name)
			}
		}
		return due
	})
}

// hasChanged reports whether a file of the site differs from what was compared last, and
// its code from what its workers run.
func (k *watching) hasChanged(t *site, look *code.Look) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, last := t.config(), k.seen[t.name]
	now := seen{touched: look.Files(c.ReloadOn.Touch)}
	changed := now.touched.TouchedSince(last.touched)
	if c.ReloadOn.Code || k.all {
		now.code = look.Tree(placesOf(c))
		changed = changed || !now.code.Equal(last.code) && !now.code.Equal(t.code())
	}
	k.seen[t.name] = now
	return changed
}

// subject returns where the files lie that are a reason to reload a site.
func (k *watching) subject(c *config.Site, look *code.Look) watch.Subject {
	var places []code.Place
	for _, path := range c.ReloadOn.Touch {
		places = append(places, code.Place{Kind: code.File, Path: path})
	}
	if c.ReloadOn.Code || k.all {
		places = append(places, placesOf(c)...)
	}
	dirs, matters := look.Watch(places)
	return watch.Subject{Dirs: dirs, Matters: matters}
}
