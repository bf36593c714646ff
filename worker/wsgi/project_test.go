package wsgi

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/process"
)

// newProjectOf makes sites of one project, each from its own source.
func newProjectOf(t *testing.T, change func(*Options), sources ...string) (*Project, []*testSite) {
	t.Helper()
	var sites []*testSite
	var runtimes []*Runtime
	code := newSiteDir(t)
	for i, source := range sources {
		s := newSite(t, source, func(o *Options) {
			o.Site = string(rune('a' + i))
			o.CodeDir = code
			if change != nil {
				change(o)
			}
		})
		sites, runtimes = append(sites, s), append(runtimes, s.Runtime)
	}
	for _, s := range sites[1:] {
		if s.ProjectKey() != sites[0].ProjectKey() {
			t.Fatal("the sites do not belong together")
		}
	}
	p := NewProject(runtimes, slog.New(slog.NewTextHandler(sites[0].log, nil)))
	return p, sites
}

// launchAll launches a worker of each site at once and returns the errors.
func launchAll(sites []*testSite) []error {
	errs := make([]error, len(sites))
	var wg sync.WaitGroup
	for i, s := range sites {
		wg.Go(func() {
			var w *Worker
			if w, errs[i] = s.tryLaunch(s.t.Context(), 1); errs[i] == nil {
				wantServing(s.t, w)
			}
		})
	}
	wg.Wait()
	return errs
}

// wantProjectZygoteGone waits until the project zygote has exited.
func wantProjectZygoteGone(t *testing.T, p *Project) {
	t.Helper()
	p.mu.Lock()
	proc := p.process
	p.mu.Unlock()
	if proc == nil {
		t.Fatal("there was no project zygote")
	}
	select {
	case <-proc.Done():
	case <-time.After(patience):
		t.Errorf("the project zygote %d stays", proc.PID())
	}
}

const jsonApp = "import json, decimal\n" + helloApp

func TestProject_SitesShare(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, jsonApp, jsonApp)
	for i, err := range launchAll(sites) {
		if err != nil || sites[i].PreloadNote() != "on" {
			t.Errorf("site %d: %v, preload %q", i, err, sites[i].PreloadNote())
		}
	}
	wantProjectZygoteGone(t, p)
	if !strings.Contains(sites[0].log.String(), `msg="project zygote ready"`) {
		t.Errorf("no such line in the log:\n%s", sites[0].log)
	}
}

// TestProject_OneFails: a site that fails does not affect the others.
func TestProject_OneFails(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, "import json, no_such_thing\n", jsonApp)
	errs := launchAll(sites)
	var launch *process.LaunchError
	if !errors.As(errs[1], &launch) || !strings.HasPrefix(launch.Problem, "ModuleNotFoundError") {
		t.Errorf("the broken site: %v", errs[1])
	}
	if errs[0] != nil || errs[2] != nil || sites[0].PreloadNote() != "on" || sites[2].PreloadNote() != "on" {
		t.Errorf("the others: %v %q, %v %q", errs[0], sites[0].PreloadNote(), errs[2], sites[2].PreloadNote())
	}
	wantProjectZygoteGone(t, p)
	sites[1].write("app.py", helloApp)
	wantServing(t, sites[1].launch(1))
	if got := sites[1].PreloadNote(); got != "on" {
		t.Errorf("repaired, the site has preload %q", got)
	}
}

// TestProject_OneHangs: a site that hangs while it is loaded delays the others by no
// more than the learning time of the project, even if nothing was learned in it.
func TestProject_OneHangs(t *testing.T) {
	t.Parallel()
	for _, learnTime := range []time.Duration{time.Second, time.Millisecond} {
		t.Run(learnTime.String(), func(t *testing.T) {
			t.Parallel()
			p, sites := newProjectOf(t, nil, jsonApp, "import time\ntime.sleep(1000)\n", jsonApp)
			p.learnTime = learnTime
			ctx, giveUp := context.WithCancelCause(t.Context())
			hangs := make(chan error, 1)
			go func() {
				_, err := sites[1].tryLaunch(ctx, 1)
				hangs <- err
			}()
			if err := errors.Join(launchAll([]*testSite{sites[0], sites[2]})...); err != nil {
				t.Errorf("the others: %v", err)
			}
			late := errors.New("late")
			giveUp(late)
			if err := <-hangs; !errors.Is(err, late) {
				t.Errorf("the site that hangs: %v", err)
			}
			wantProjectZygoteGone(t, p)
		})
	}
}

// TestProject_OneIsNotForkSafe: a site with a thread is loaded by each of its workers,
// which are forked from the project zygote.
func TestProject_OneIsNotForkSafe(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, threadApp, jsonApp)
	for i, err := range launchAll(sites) {
		if err != nil {
			t.Errorf("site %d: %v", i, err)
		}
	}
	if got, want := sites[1].PreloadNote(), `off (thread "exporter" started in app.py:3)`; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
	for n := range sites[1].opts.Processes - 1 {
		wantServing(t, sites[1].launch(n+2))
	}
	wantProjectZygoteGone(t, p)
	if sites[0].PreloadNote() != "on" || sites[2].PreloadNote() != "on" {
		t.Error("the others lost their zygotes")
	}
}

func TestProject_OneWorkerSites(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, func(o *Options) { o.Processes = 1 }, jsonApp, jsonApp)
	if err := errors.Join(launchAll(sites)...); err != nil {
		t.Fatal(err)
	}
	wantProjectZygoteGone(t, p)
	for _, s := range sites {
		if s.ZygotePID() != 0 || s.PreloadNote() != "on (project)" {
			t.Errorf("zygote %d, preload %q", s.ZygotePID(), s.PreloadNote())
		}
	}
}

// TestProject_CloseOfOneThatNeverStarted: a site that is closed before its first launch
// does not keep the project zygote alive.
func TestProject_CloseOfOneThatNeverStarted(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, jsonApp)
	if err := launchAll(sites[:1])[0]; err != nil {
		t.Fatal(err)
	}
	sites[1].Close()
	wantProjectZygoteGone(t, p)
}

func TestProject_CloseWhileLearning(t *testing.T) {
	t.Parallel()
	const hang = "import os\nopen(os.environ['DIR'] + '/loading', 'w').close()\nwhile True: pass\n"
	p, sites := newProjectOf(t, nil, hang, hang)
	p.learnTime = time.Hour // whoever waits for that waits for ever
	launched := make(chan error, 1)
	go func() { launched <- errors.Join(launchAll(sites)...) }()
	eventually(t, "a site to load", func() bool { return exists(sites[0].dir+"/loading") || exists(sites[1].dir+"/loading") })
	sites[0].Close()
	sites[1].Close()
	if err := <-launched; err == nil {
		t.Error("launched")
	}
	for _, s := range sites {
		wantNoProcess(t, s.opts.CodeDir)
	}
}

func TestProjectKey(t *testing.T) {
	t.Parallel()
	base := Options{Python: "/bin/python3", Env: []string{"LANG=C", "PATH=/bin", "SECRET=1"}}
	for _, test := range []struct {
		name   string
		o      Options
		shared bool
	}{
		{"another secret", Options{Python: "/bin/python3", Env: []string{"SECRET=2", "PATH=/bin", "LANG=C"}}, true},
		{"another interpreter", Options{Python: "/other/python3", Env: base.Env}, false},
		{"another locale", Options{Python: "/bin/python3", Env: []string{"LANG=de_DE", "PATH=/bin", "SECRET=1"}}, false},
		{"PYTHONPATH", Options{Python: "/bin/python3", Env: append([]string{"PYTHONPATH=/x"}, base.Env...)}, false},
		{"another user", Options{Python: "/bin/python3", Env: base.Env, Account: &account.Account{UID: 4711}}, false},
		{"a limit", Options{Python: "/bin/python3", Env: base.Env, Tasks: func() int { return 60 }}, false},
		{"a library", Options{Python: "/bin/python3", Env: append([]string{"LD_PRELOAD=/x"}, base.Env...)}, false},
	} {
		if got := test.o.ProjectKey() == base.ProjectKey(); got != test.shared {
			t.Errorf("%s: shared %v, want %v", test.name, got, test.shared)
		}
	}
}

// TestProject_LearningWritesIntoNoLog: what a site prints while it is loaded is in its
// own log, once for each process that loads it, and never in the log of the site that
// started the project zygote. A learning result that cannot be saved is logged with
// the name of its site.
func TestProject_LearningWritesIntoNoLog(t *testing.T) {
	t.Parallel()
	const loud = jsonApp + "import os, sys\nprint('secret of', os.getcwd())\nprint('more of', os.getcwd(), file=sys.stderr)\nos.system('echo even more of $PWD')\n"
	p, sites := newProjectOf(t, nil, loud, loud, loud)
	if err := os.Mkdir(filepath.Join(sites[2].learned, "c.json"), 0o700); err != nil { // a file cannot take its place
		t.Fatal(err)
	}
	for i, err := range launchAll(sites) {
		if err != nil {
			t.Errorf("site %d: %v", i, err)
		}
	}
	wantProjectZygoteGone(t, p)
	for i, s := range sites {
		for _, word := range []string{"secret of ", "more of ", "even more of "} {
			if got := strings.Count(s.out.String(), "/zygote "+word+s.dir+"\n"); got != 1 {
				t.Errorf("site %d says %q %d times, want once:\n%s", i, word, got, s.out)
			}
		}
		for other := range sites {
			if other != i && strings.Contains(s.out.String(), sites[other].dir) {
				t.Errorf("site %d has what site %d said:\n%s", i, other, s.out)
			}
		}
		if strings.Contains(s.out.String(), "cannot be written") {
			t.Errorf("site %d:\n%s", i, s.out)
		}
	}
	if want := `msg="what was learned about a site could not be saved and has to be learned again" site=c reason="`; !strings.Contains(sites[0].log.String(), want) {
		t.Errorf("the log does not say what could not be saved:\n%s", sites[0].log)
	}
}
