package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// withGenerations gives each site a generation that runs what the file says.
func withGenerations(s *Supervisor) *Supervisor {
	for _, t := range s.sites.all() {
		t.current = &generation{cfg: t.cfg, code: s.lookAtCode().Tree(placesOf(t.cfg))}
	}
	return s
}

// texts describes changes as "blog added" and the like, sorted.
func texts(cs []change) (list []string) {
	for _, ch := range cs {
		switch {
		case ch.site == nil:
			list = append(list, ch.cfg.Name+" added")
		case ch.cfg == nil:
			list = append(list, ch.site.name+" removed")
		default:
			list = append(list, strings.TrimSpace(fmt.Sprint(ch.site.name, " ", strings.Join(ch.what, ","), " ", ch.roll)))
		}
	}
	slices.Sort(list)
	return list
}

func TestCompare(t *testing.T) {
	t.Parallel()
	site := func(name string) *config.Site { return &config.Site{Name: name, Kind: config.App} }
	limited := site("shop")
	limited.MaxBody = 7
	for _, tt := range []struct {
		name  string
		file  []*config.Site
		names []string
		why   string
		want  []string
	}{
		{"nothing", []*config.Site{site("blog"), site("shop")}, nil, "", nil},
		{"a site comes, one goes, one changes", []*config.Site{site("api"), limited}, nil, "", []string{"api added", "blog removed", "shop max_body"}},
		{"only those that are named", []*config.Site{site("api"), limited}, []string{"shop"}, "", []string{"shop max_body"}},
		{"one that is named is removed", []*config.Site{site("shop")}, []string{"blog"}, "", []string{"blog removed"}},
		{"a reason to replace workers", []*config.Site{site("blog"), site("shop")}, []string{"blog"}, "touched", []string{"blog  touched"}},
		{"a reason is for named sites only", []*config.Site{site("blog"), site("shop")}, nil, "touched", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := withGenerations(sitesWithoutWorkers(t, site("blog"), site("shop")))
			blog := s.sites.all()[0]
			blog.failed.Store(&status.Failure{})
			got, err := compare(&s.sites, &config.Config{Sites: tt.file}, tt.names, tt.why, s.lookAtCode())
			if err != nil || !slices.Equal(texts(got), tt.want) {
				t.Errorf("got %q, %v, want %q", texts(got), err, tt.want)
			}
			if tt.name == "nothing" && blog.failed.Load() != nil {
				t.Error("a site that is as the file says has still failed")
			}
		})
	}
	s := withGenerations(sitesWithoutWorkers(t, site("blog")))
	_, err := compare(&s.sites, &config.Config{Sites: []*config.Site{site("blog")}}, []string{"blgo"}, "", s.lookAtCode())
	var usage *control.Error
	if !errors.As(err, &usage) || !usage.Usage || usage.Hint != `did you mean "blog"?` {
		t.Errorf("a name that does not exist: %v", err)
	}
}

func TestChange_Describe(t *testing.T) {
	t.Parallel()
	failed := errors.New("it does not start")
	for _, tt := range []struct {
		name   string
		change change
		err    error
		want   string
	}{
		{"added", change{cfg: &config.Site{}, added: true}, nil, "blog: added\n"},
		{"added, and failed", change{cfg: &config.Site{}, added: true}, failed, "blog: added, but it does not start\n"},
		{"removed", change{}, nil, "blog: removed\n"},
		{"live", change{cfg: &config.Site{}, what: []string{"static", "threads"}}, nil, "blog: static, threads changed, no worker restarted\n"},
		{"live, and failed", change{cfg: &config.Site{}, what: []string{"processes"}}, failed, "blog: processes changed, no worker restarted, but not all of its workers are ready\n"},
		{"the trial has failed", change{cfg: &config.Site{}, next: &generation{}}, failed, "blog: not changed, its old workers serve on\n"},
		{"rolled", change{cfg: &config.Site{}, next: &generation{}, switched: true, roll: "code changed"}, nil, "blog: new workers, generation 1 (code changed)\n"},
		{"without a trial", change{cfg: &config.Site{}, next: &generation{noTrial: true}, switched: true, roll: "code changed"}, nil, "blog: new workers, generation 1 (code changed), not tried: it sleeps\n"},
	} {
		s := withGenerations(sitesWithoutWorkers(t, &config.Site{Name: "blog"}))
		tt.change.site = s.sites.all()[0]
		tt.change.site.tasks = newTasks(tt.change.site, &config.Site{})
		var got strings.Builder
		tt.change.describe(&got, tt.err)
		if got.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, &got, tt.want)
		}
	}
}

// TestLeaveAsleep: the new code of a few sleeping sites gets a trial, that of many does not.
func TestLeaveAsleep(t *testing.T) {
	t.Parallel()
	for _, n := range []int{maxTrialsAsleep, maxTrialsAsleep + 1} {
		var cs []change
		for i := range n {
			s := sitesWithoutWorkers(t, &config.Site{Name: fmt.Sprint("s", i)})
			asleep := s.sites.all()[0]
			asleep.pool.Apply(settingsOf(&config.Site{InactivityTimeout: 1, Processes: config.Range{Max: 1}}))
			cs = append(cs, change{site: asleep, cfg: &config.Site{}, next: &generation{}})
		}
		leaveAsleep(cs)
		for _, ch := range cs {
			if ch.next.noTrial != (n > maxTrialsAsleep) {
				t.Fatalf("of %d sleeping sites one has no trial: %v (state %s)", n, ch.next.noTrial, ch.site.pool.Status().State)
			}
		}
	}
}

func TestAsCallError(t *testing.T) {
	t.Parallel()
	problems := tomlfile.Problems{{Key: "a", Message: "wrong", Hint: "so"}, {Key: "b", Message: "worse"}}
	var e *control.Error
	if err := asCallError(problems.Err()); !errors.As(err, &e) || e.Message != problems[0].Error() || e.Hint != "so" || e.Detail != problems[1].Error() {
		t.Errorf("got %+v", e)
	}
	other := errors.New("no such file")
	if err := asCallError(other); err != other {
		t.Errorf("got %v, want the error itself", err)
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	if got := failureOf("reload", nil); got != nil {
		t.Errorf("no error is %+v", got)
	}
	if got := failureOf("reload", errors.New("first line\nsecond")); got.What != "reload" || got.Error != "first line" || got.At.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// TestReloader_ReadRefusesWhatNeedsANewStart.
func TestReloader_ReadRefusesWhatNeedsANewStart(t *testing.T) {
	t.Parallel()
	s := sitesWithoutWorkers(t)
	s.cfg = &config.Config{Path: "sites.toml", Listen: []string{":1"}, StateDir: "/a"}
	next := &config.Config{Path: "sites.toml", Listen: []string{":2"}, StateDir: "/b"}
	r := &reloader{super: s, load: func() (*config.Config, error) { return next, nil }}
	var e *control.Error
	if _, err := r.read(); !errors.As(err, &e) || !strings.Contains(e.Message, "listen") || !strings.Contains(e.Message, "state_dir") {
		t.Errorf("got %v, want both keys", e)
	}
	next.StateDir = "/a"
	s.endpoints.external = true // the addresses are not those of sites.toml
	if got, err := r.read(); err != nil || got != next {
		t.Errorf("got %v, %v", got, err)
	}
	next.Sites = []*config.Site{{Name: "blog", Processes: config.Range{Max: 1 << 30}}}
	if _, err := r.read(); err == nil || !strings.Contains(err.Error(), "workers are too many") {
		t.Errorf("a billion workers: %v", err)
	}
}

func TestNoChange(t *testing.T) {
	t.Parallel()
	if got := noChange(nil); got != "nothing has changed" {
		t.Errorf("got %q", got)
	}
	if got := noChange([]string{"blog"}); got != "blog: nothing has changed; for new workers all the same: multisite restart blog" {
		t.Errorf("got %q", got)
	}
}
