package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// reloader reads sites.toml and the code again and applies the difference.
type reloader struct {
	super  *Supervisor
	load   func() (*config.Config, error)
	failed atomic.Pointer[status.Failure] // of the last reload; nil: it has not failed, or there was none
	ended  chan struct{}                  // buffered, one value after a reload

	mu sync.Mutex // held while a reload, an upgrade or self-rolls run

	waiting atomic.Int32 // reloads and upgrades that wait for mu: self-rolls let them pass

	trialMu sync.Mutex
	// trialMu protects endTrial, which ends the trial of a self-roll; nil: there is none.
	endTrial context.CancelCauseFunc
}

// Reload reads sites.toml and the code again and applies the difference, which it writes
// to w: for one site, or for all if name is empty. A mistake in the file changes nothing;
// a site whose new code does not start keeps its old workers.
func (s *Supervisor) Reload(ctx context.Context, name string, w io.Writer) error {
	if name == "" {
		return s.reloader.reload(ctx, nil, "", w)
	}
	return s.reloader.reload(ctx, func() []string { return []string{name} }, "", w)
}

// ReloadAndLog is Reload for all sites when no caller waits for the answer.
func (s *Supervisor) ReloadAndLog(ctx context.Context) { s.reloader.reloadAndLog(ctx, nil) }

// reload is Reload for the sites that which returns, for all if which is nil. which is
// called while no other reload runs. why is a reason to replace their workers even if
// compare sees no change; "" is none.
func (r *reloader) reload(ctx context.Context, which func() []string, why string, w io.Writer) (err error) {
	s := r.super
	if s.upgrader.active.Load() {
		return errUpgrading
	}
	r.lock()
	defer r.mu.Unlock()
	var names []string
	if which != nil {
		if names = which(); len(names) == 0 {
			return nil
		}
	}
	announceEnd := s.announcer.reloading()
	defer func() {
		s.announcer.setReload(err)
		announceEnd()
		select {
		case r.ended <- struct{}{}:
		default: // there is one
		}
	}()
	changes, err := r.prepare(names, why)
	if usage := (*control.Error)(nil); !errors.As(err, &usage) || !usage.Usage {
		r.failed.Store(failureOf("reload", err))
	}
	if err != nil {
		return err
	}
	defer s.watching.refresh()
	return changes.apply(ctx, noChange(names), w)
}

// lock locks mu as soon as a roll that runs has ended. The trial of a self-roll is given up.
func (r *reloader) lock() {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	r.trialMu.Lock()
	if r.endTrial != nil {
		r.endTrial(errReloadWaits)
	}
	r.trialMu.Unlock()
	r.mu.Lock()
}

var errReloadWaits = errors.New("a reload or an upgrade is waiting")

// setTrial says how to end the trial of a self-roll; nil: there is none any more.
func (r *reloader) setTrial(end context.CancelCauseFunc) {
	r.trialMu.Lock()
	defer r.trialMu.Unlock()
	r.endTrial = end
	if end != nil && r.waiting.Load() > 0 { // since before
		end(errReloadWaits)
	}
}

// reloadAndLog is reload for files that were touched, when no caller waits.
func (r *reloader) reloadAndLog(ctx context.Context, which func() []string) {
	log := r.super.log
	var did strings.Builder
	err := r.reload(ctx, which, "touched", &did)
	for line := range strings.Lines(did.String()) {
		log.Info("reload", "change", strings.TrimSpace(line))
	}
	if err != nil && ctx.Err() == nil {
		log.Error("reload failed", "error", err)
	}
}

// noChange returns what is written by a reload that has found no change.
func noChange(names []string) string {
	if len(names) == 0 {
		return "nothing has changed"
	}
	return fmt.Sprintf("%[1]s: nothing has changed; for new workers all the same: multisite restart %[1]s", names[0])
}

// failureOf returns an error as status shows it; nil for none.
func failureOf(what string, err error) *status.Failure {
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &status.Failure{At: time.Now().UTC(), What: what, Error: line}
}

// changes is what a reload does.
type changes struct {
	super *Supervisor
	cfg   *config.Config // the new one
	sites []change
}

// change is what a reload does to one site.
type change struct {
	site *site        // nil: it is new, until makeGenerations makes it
	cfg  *config.Site // the new one; nil: the site is removed
	roll string       // why its workers are replaced; "": they stay
	what []string     // keys that have changed and apply live

	added    bool        // site was made for this reload
	next     *generation // replaces the workers; nil: they stay
	switched bool        // next has replaced them
}

// prepare finds the changes and makes what they need. After an error nothing is left of
// that, and nothing has changed.
func (r *reloader) prepare(names []string, why string) (*changes, error) {
	look := r.super.lookAtCode()
	cfg, err := r.read()
	if err != nil {
		return nil, err
	}
	cs := &changes{super: r.super, cfg: cfg}
	if cs.sites, err = compare(&r.super.sites, cfg, names, why, look); err != nil {
		return nil, err
	}
	return cs, cs.makeGenerations(look)
}

// read reads sites.toml again. A change that needs a new supervisor is an error.
func (r *reloader) read() (*config.Config, error) {
	cfg, err := r.load()
	if err == nil {
		err = CheckProcesses(cfg)
	}
	if err != nil {
		return nil, asCallError(err)
	}
	if err := r.super.hasRoomFor(cfg); err != nil {
		return nil, err
	}
	fixed := cfg.StartChanges(r.super.config())
	if r.super.endpoints.external {
		fixed = slices.DeleteFunc(fixed, func(key string) bool { return key == "listen" })
	}
	if len(fixed) > 0 {
		return nil, &control.Error{
			Message: fmt.Sprintf("%s: a change of %s needs a new start; nothing was reloaded", cfg.Path, strings.Join(fixed, ", ")),
			Hint:    "multisite down && multisite up -d",
		}
	}
	return cfg, nil
}

// asCallError returns the mistakes of a sites.toml as an error for the command line.
func asCallError(err error) error {
	var lines []string
	var problems tomlfile.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for _, p := range problems[1:] {
		lines = append(lines, p.Error())
	}
	return &control.Error{Message: problems[0].Error(), Hint: problems[0].Hint, Detail: strings.Join(lines, "\n")}
}

// compare finds what to do to each site. If names are given, only those are compared, and
// their workers are replaced in any case if there is a reason why.
func compare(sites *registry, cfg *config.Config, names []string, why string, look *code.Look) ([]change, error) {
	var found []change
	named := len(names) > 0
	wanted := func(name string) bool { return !named || slices.Contains(names, name) }
	old := map[string]*site{}
	for _, t := range sites.all() {
		old[t.name] = t
	}
	for _, c := range cfg.Sites {
		t := old[c.Name]
		delete(old, c.Name)
		if !wanted(c.Name) {
			continue
		}
		if t == nil {
			found = append(found, change{cfg: c})
			continue
		}
		ch := compareSite(t, c, look)
		if ch.roll == "" && named {
			ch.roll = why
		}
		if ch.roll != "" || len(ch.what) > 0 {
			found = append(found, ch)
		} else {
			t.failed.Store(nil) // it is as the file says
		}
	}
	for name, t := range old {
		if wanted(name) {
			found = append(found, change{site: t})
		}
	}
	if named && len(found) == 0 {
		_, err := sites.find(names[0])
		return nil, err
	}
	return found, nil
}

// compareSite compares what sites.toml says of a site with what it said, for the keys
// that apply live, and with what its workers were launched with, for the others.
func compareSite(t *site, c *config.Site, look *code.Look) change {
	ch := change{site: t, cfg: c}
	t.mu.Lock()
	said, runs := t.cfg, t.current
	t.mu.Unlock()
	ch.what = c.LiveChanges(said)
	key := c.LaunchChange(runs.cfg)
	if runs.inherited != nil && key == "" {
		key = differingKey(runs.inherited, c.LaunchValues())
	}
	switch {
	case key != "":
		ch.roll = key + " changed"
	case !look.Tree(placesOf(c)).Equal(runs.code):
		ch.roll = "code changed"
	}
	return ch
}

// makeGenerations makes the new sites, and the generations that are to replace others.
// After an error nothing of them is left.
func (cs *changes) makeGenerations(look *code.Look) (err error) {
	var generations []*generation
	for i := range cs.sites {
		ch := &cs.sites[i]
		switch {
		case ch.cfg == nil:
		case ch.site == nil:
			if ch.site, err = cs.super.newSite(ch.cfg, look); err == nil {
				ch.added = true
				generations = append(generations, ch.site.current)
			}
		case ch.roll != "":
			if ch.next, err = ch.site.newGeneration(ch.cfg, look); err == nil {
				generations = append(generations, ch.next)
			}
		}
		if err != nil {
			dropAll(cs.sites[:i])
			return fmt.Errorf("site %s: %w", ch.cfg.Name, err)
		}
	}
	leaveAsleep(cs.sites)
	joinProjects(generations, cs.log())
	return nil
}

func (cs *changes) log() *slog.Logger { return cs.super.log }

// drop ends what was made for a change that is not applied.
func (ch *change) drop() {
	switch {
	case ch.added:
		ch.site.close()
	case ch.next != nil:
		ch.next.close()
	}
}

func dropAll(sites []change) {
	for i := range sites {
		sites[i].drop()
	}
}
