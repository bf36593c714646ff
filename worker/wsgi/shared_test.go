package wsgi

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// learnerOnly is code that runs only in a learner, whose output is dropped.
const learnerOnly = "import os\nif os.readlink('/proc/self/fd/1') == '/dev/null':\n    "

// TestProject_OneUsesTooMuchProcessorTime: a site is left out, and status says why.
func TestProject_OneUsesTooMuchProcessorTime(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, learnerOnly+"while True: pass\n"+jsonApp, jsonApp)
	p.processorTime = 500 * time.Millisecond
	if err := errors.Join(launchAll(sites)...); err != nil {
		t.Fatal(err)
	}
	const why = "it used more than 0.5 s of processor time while it loaded"
	for i, want := range []string{"on", "on, shared modules not learned (" + why + ")", "on"} {
		if got := sites[i].PreloadNote(); got != want {
			t.Errorf("site %d: preload %q, want %q", i, got, want)
		}
	}
	if want := `msg="shared modules not learned" site=b reason="` + why; !strings.Contains(sites[0].log.String(), want) {
		t.Errorf("the log does not say why:\n%s", sites[0].log)
	}
	wantProjectZygoteGone(t, p)
}

// TestProject_OneWorkerSiteNotLearned: status says so of a site without a zygote, too.
func TestProject_OneWorkerSiteNotLearned(t *testing.T) {
	t.Parallel()
	_, sites := newProjectOf(t, func(o *Options) { o.Processes = 1 }, jsonApp, learnerOnly+"os._exit(1)\n"+jsonApp)
	if err := errors.Join(launchAll(sites)...); err != nil {
		t.Fatal(err)
	}
	if got, want := sites[1].PreloadNote(), "on (project), shared modules not learned (the process that loaded it died)"; got != want {
		t.Errorf("preload %q, want %q", got, want)
	}
}

// TestProject_NotLoadedInTime: sites whose shared modules take too long to load go on
// without them.
func TestProject_NotLoadedInTime(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, jsonApp)
	p.learnTime = time.Millisecond
	if err := errors.Join(launchAll(sites)...); err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		if got, want := s.PreloadNote(), "on, shared modules not learned (they were not loaded within 2ms)"; got != want {
			t.Errorf("site %d: preload %q, want %q", i, got, want)
		}
	}
	wantProjectZygoteGone(t, p)
}

// TestAwaitShared: the time of learning is waited for before a launch, not within it.
func TestAwaitShared(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, jsonApp, jsonApp)
	sites[0].AwaitShared(t.Context())
	select {
	case <-p.started:
	default:
		t.Error("the project zygote has not started")
	}
	if p.err != nil || !p.zygote.alive() {
		t.Errorf("there is no project zygote: %v", p.err)
	}
	wantServing(t, sites[0].launch(1))
}

// TestAwaitShared_ReturnsEarly: awaitShared returns early when its context is
// cancelled, and when the site is closed.
func TestAwaitShared_ReturnsEarly(t *testing.T) {
	t.Parallel()
	const hang = "while True: pass\n"
	_, sites := newProjectOf(t, nil, hang, hang)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sites[0].AwaitShared(ctx)
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		sites[0].AwaitShared(t.Context())
	}()
	sites[0].Close()
	sites[1].Close()
	<-returned
}

// djangoApp is a site with settings of its own.
const djangoApp = "import os\nfrom django.conf import settings\nsettings.configure(SECRET_KEY='x', ROOT_URLCONF='app')\nurlpatterns = []\n" +
	"import django.forms, django.db.models, django.core.wsgi, django.template\ndjango.setup()\n" + helloApp

// TestProject_OddSite: a tiny site takes no shared modules from two Django sites.
func TestProject_OddSite(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, djangoApp, helloApp, djangoApp)
	if err := errors.Join(launchAll(sites)...); err != nil {
		t.Fatal(err)
	}
	for i, s := range sites {
		if got := s.PreloadNote(); got != "on" {
			t.Errorf("site %d: preload %q", i, got)
		}
	}
	if modules := sharedModules(t, sites[0], 2); modules < 200 {
		t.Errorf("two Django sites share %d modules", modules)
	}
	wantProjectZygoteGone(t, p)
	wantProjectZygoteGone(t, p.rest)
}

// TestProject_TwoKindsOfSites: each kind shares among itself.
func TestProject_TwoKindsOfSites(t *testing.T) {
	t.Parallel()
	const xmlApp = "import xml.dom.minidom, http.client, csv, sqlite3\n" + helloApp
	const toolApp = "import decimal, fractions, statistics, difflib, tarfile\n" + helloApp
	p, sites := newProjectOf(t, nil, djangoApp, xmlApp, djangoApp, toolApp, xmlApp, toolApp)
	sites[5].Close() // before the others are learned
	if err := errors.Join(launchAll(sites[:5])...); err != nil {
		t.Fatal(err)
	}
	for rest := p; rest != nil; rest = rest.rest {
		wantProjectZygoteGone(t, rest)
	}
	if p.rest == nil {
		t.Error("all sites share with one another")
	}
}

// TestProject_CloseOfASiteInTheRest: a site that is closed before its first launch keeps
// no project zygote alive, even if the sites are apart by then.
func TestProject_CloseOfASiteInTheRest(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, djangoApp, helloApp, djangoApp, helloApp)
	if err := errors.Join(launchAll([]*testSite{sites[0], sites[2]})...); err != nil {
		t.Fatal(err)
	}
	wantServing(t, sites[1].launch(1))
	sites[3].Close()
	wantProjectZygoteGone(t, p)
	wantProjectZygoteGone(t, p.rest)
}

// sharedModules returns how many modules a project zygote of that many sites has
// loaded, from the log of a site.
func sharedModules(t *testing.T, s *testSite, sites int) int {
	t.Helper()
	found := regexp.MustCompile(`msg="project zygote ready" pid=\d+ modules=(\d+) sites=` + strconv.Itoa(sites)).FindStringSubmatch(s.log.String())
	if found == nil {
		t.Fatalf("there is no project zygote of %d sites:\n%s", sites, s.log)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestProject_AllAreOdd: a zygote that sets all its sites apart does not tell the truth,
// and the next one would say the same.
func TestProject_AllAreOdd(t *testing.T) {
	t.Parallel()
	p, sites := newProjectOf(t, nil, helloApp, helloApp)
	p.setApart([]string{sites[0].opts.Site, sites[1].opts.Site})
	if p.rest != nil {
		t.Error("they have another project")
	}
}
