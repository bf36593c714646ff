package wsgi

import (
	"context"
	"errors"
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

// TestAwaitShared_ReturnsEarly when it is cancelled, and when the site is closed.
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
