package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// change is what a reload does to one site.
type change struct {
	site *site        // nil: a new one, which prepare makes
	cfg  *config.Site // nil: it goes
	roll string       // why its workers are replaced; "": they stay
	what []string     // keys that changed

	added    bool        // prepare has made site
	next     *generation // that replaces the workers; nil: they stay
	switched bool        // next has
}

// Reload reads sites.toml and the code again and applies the difference, which it
// writes to w: for one site, or for all when name is empty. A mistake in the file
// changes nothing; a site whose new code does not start keeps its old workers.
func (s *Supervisor) Reload(ctx context.Context, name string, w io.Writer) error {
	if name == "" {
		return s.reload(ctx, nil, "", w)
	}
	return s.reload(ctx, func() []string { return []string{name} }, "", w)
}

// reload is Reload for the sites that which names, while no other reload runs; for
// all when it is nil. why is a reason to replace their workers where nothing has
// changed that compare would see; "": there is none.
func (s *Supervisor) reload(ctx context.Context, which func() []string, why string, w io.Writer) (err error) {
	if s.upgrader.active.Load() {
		return errUpgrading
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	var names []string
	if which != nil {
		if names = which(); len(names) == 0 {
			return nil
		}
	}
	ended := s.announcer.reloading()
	defer func() {
		s.announcer.setReload(err)
		ended()
	}()
	look := s.lookAtCode()
	cfg, changes, err := s.prepare(names, why, look)
	if usage := (*control.Error)(nil); !errors.As(err, &usage) || !usage.Usage {
		s.failed.Store(failureOf("reload", err))
	}
	if err != nil {
		return err
	}
	defer s.watching.refresh()
	return s.apply(ctx, cfg, changes, nothing(names), w)
}

// prepare finds what to do, and makes what it takes. After an error nothing of that
// is left, and nothing has changed.
func (s *Supervisor) prepare(names []string, why string, look *code.Look) (*config.Config, []change, error) {
	cfg, err := s.read()
	if err != nil {
		return nil, nil, err
	}
	changes, err := s.compare(cfg, names, why, look)
	if err == nil {
		err = s.makeGenerations(changes, look)
	}
	return cfg, changes, err
}

// failureOf is an error as status tells it; nil for none.
func failureOf(what string, err error) *status.Failure {
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return &status.Failure{At: time.Now().UTC(), What: what, Error: line}
}

// ReloadAndLog is Reload for when nobody waits for the answer.
func (s *Supervisor) ReloadAndLog(ctx context.Context) { s.reloadAndLog(ctx, nil) }

func (s *Supervisor) reloadAndLog(ctx context.Context, which func() []string) {
	var did strings.Builder
	err := s.reload(ctx, which, "touched", &did)
	for line := range strings.Lines(did.String()) {
		s.log.Info("reload", "change", strings.TrimSpace(line))
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("reload failed", "error", err)
	}
}

// read reads sites.toml again; what needs a new supervisor is refused.
func (s *Supervisor) read() (*config.Config, error) {
	cfg, err := s.load()
	if err == nil {
		err = CheckProcesses(cfg)
	}
	if err != nil {
		return nil, asCallError(err)
	}
	if err := s.hasRoomFor(cfg); err != nil {
		return nil, err
	}
	fixed := cfg.StartChanges(s.config())
	if s.endpoints.external {
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

// nothing is what is said of a reload that found nothing to do.
func nothing(names []string) string {
	if len(names) == 0 {
		return "nothing has changed"
	}
	return fmt.Sprintf("%[1]s: nothing has changed; for new workers all the same: multisite restart %[1]s", names[0])
}

// compare finds what to do to each site. names limit it to some, whose workers are
// replaced in any case if there is a reason why.
func (s *Supervisor) compare(cfg *config.Config, names []string, why string, look *code.Look) ([]change, error) {
	var changes []change
	named := len(names) > 0
	wanted := func(name string) bool { return !named || slices.Contains(names, name) }
	old := map[string]*site{}
	for _, t := range s.sites.all() {
		old[t.name] = t
	}
	for _, c := range cfg.Sites {
		t := old[c.Name]
		delete(old, c.Name)
		if !wanted(c.Name) {
			continue
		}
		if t == nil {
			changes = append(changes, change{cfg: c})
			continue
		}
		ch := compareSite(t, c, look)
		if ch.roll == "" && named {
			ch.roll = why
		}
		if ch.roll != "" || len(ch.what) > 0 {
			changes = append(changes, ch)
		} else {
			t.failed.Store(nil) // it is as the file says
		}
	}
	for gone, t := range old {
		if wanted(gone) {
			changes = append(changes, change{site: t})
		}
	}
	if named && len(changes) == 0 {
		_, err := s.sites.find(names[0])
		return nil, err
	}
	return changes, nil
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

// asCallError carries the mistakes of a sites.toml to the command line.
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
