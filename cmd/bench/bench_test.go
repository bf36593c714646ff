package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newBench prepares a run as main does. At the end of the test no process that was started
// from its directory may be left.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{quick: true, log: io.Discard}
	cleanup, prepareErr := b.prepare(t.Context())
	t.Cleanup(func() {
		defer cleanup()
		all, err := allProcs()
		if err != nil {
			t.Error(err)
		}
		for _, p := range all {
			if b.tmp != "" && strings.Contains(p.command, b.tmp) {
				t.Errorf("process %d is left: %s", p.pid, p.command)
			}
		}
	})
	if prepareErr != nil {
		t.Fatal(prepareErr)
	}
	return b
}

func (b *bench) testProject(t *testing.T) *project {
	t.Helper()
	p, err := b.newProject(t.Context(), b.python())
	if err != nil {
		t.Fatalf("%v; run: make test", err)
	}
	return p
}

func TestMemory_WeighsTheWholeTree(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	for _, c := range []contender{shared, unshared} {
		var w weight
		if err := b.weigh(t.Context(), c, p, shape{sites: 1, processes: 2, requests: 10}, &w); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if w.bad != 0 || w.processes < 3 {
			t.Errorf("%s: got %d wrong answers, %d processes; want 0, and the supervisor with two workers at least", c.name, w.bad, w.processes)
		}
		if uss, tree := w.worker.median(), w.apps.median(); uss <= 0.5 || tree < 2*uss || w.front.median() < 5 {
			t.Errorf("%s: got %v MB of two workers with %v MB each, front door %v MB", c.name, w.apps, w.worker, w.front)
		}
		if c.name == unshared.name && w.worker.median() < 15 {
			t.Errorf("unshared: got %v MB in a worker, less than Django takes", w.worker)
		}
	}
}

func TestRace_CountsWrongAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	x := b.bareRace(4)
	x.contenders, x.rounds, x.each = []contender{shared}, 1, time.Second
	for _, right := range []bool{true, false} {
		if !right {
			x.page.want = "something else"
		}
		r := newReport("test")
		if err := b.race(t.Context(), r, p, x); err != nil {
			t.Fatal(err)
		}
		row := r.Tables[0].Rows[0]
		bad, perSecond := row[len(row)-1].(int), row[1].(figure)
		if right && perSecond.median() < 1 || right != (bad == 0) { // without wrk the loader here counts only right answers
			t.Errorf("right pages: %v; got %v requests/s and %d wrong answers", right, perSecond, bad)
		}
	}
}

func TestScale_ReadsTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	table := &table{}
	if err := b.scaleUp(t.Context(), table, p, 1); err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 4 {
		t.Fatalf("got %d rows, want 4", len(table.Rows))
	}
	for _, row := range table.Rows[1:] { // the rows with times
		if f := row[2].(figure); f.median() <= 0 {
			t.Errorf("%s: got %v ms", row[0], f)
		}
	}
}

// TestManySites_MeasuresAllOfThem: a missing figure would appear as a dash, and one without
// requests as 0.
func TestManySites_MeasuresAllOfThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newReport("test")
	if err := b.manySites(t.Context(), r, b.testProject(t), 8); err != nil {
		t.Fatal(err)
	}
	rows := r.Tables[0].Rows
	if len(rows) != 2 || rows[0][0] != 2 || rows[1][0] != 8 {
		t.Fatalf("got %v, want a row of 2 sites and one of 8", rows)
	}
	for _, row := range rows {
		for i, cell := range row {
			if f, ok := cell.(figure); ok && f.median() <= 0 {
				t.Errorf("%v sites: %s: got %v", row[0], r.Tables[0].Columns[i], f)
			}
		}
		if bad := row[len(row)-1]; bad != 0 {
			t.Errorf("%v sites: got %v wrong answers", row[0], bad)
		}
	}
	if countNotes(r, "Cost of a request with 8 sites") != 1 {
		t.Errorf("got the notes %q", r.Notes)
	}
}

// TestReload_IsOneOfAllWorkers: a reload that replaces no worker would look best.
func TestReload_IsOneOfAllWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	s, err := shared.start(t.Context(), b, p, djangoSites(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	for range 2 {
		old, err := s.workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.change(), s.reload(t.Context())); err != nil {
			t.Fatal(err)
		}
		now, err := s.workers(t.Context())
		if err != nil || len(now) != 2 || slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) }) {
			t.Errorf("workers %v, then %v, %v", old, now, err)
		}
	}
}

func TestPeers_AreNotedWhetherHereOrNot(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	b := &bench{}
	r := newReport("test")
	here := b.peers(t.Context(), r, &project{python: filepath.Join(t.TempDir(), "python3")})
	if len(here)+countNotes(r, "not here") != len(allPeers()) {
		t.Errorf("got %d peers and the notes %q", len(here), r.Notes)
	}
	if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "nginx + gunicorn --preload: not here") }) {
		t.Errorf("gunicorn of a Python that is not there: got the notes %q", r.Notes)
	}
}

func countNotes(r *report, text string) (n int) {
	for _, note := range r.Notes {
		if strings.Contains(note, text) {
			n++
		}
	}
	return n
}

func TestLoad_StopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := load{addr: "127.0.0.1:1", pages: []page{{"/", ""}}, connections: 2}.run(ctx)
	if got.good+got.bad != 0 {
		t.Errorf("got %d good and %d bad, want none", got.good, got.bad)
	}
}

func TestDriveHere_IsThereWithoutWrk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	s := bareSite(1)
	m, err := b.startMultisite(t.Context(), sitesTOML(p, []site{s}, ""), []site{s})
	if err != nil {
		t.Fatal(err)
	}
	defer m.end()
	got, err := driveHere(t.Context(), m.addr, s.host, s.pages[0], 2, 200*time.Millisecond)
	if err != nil || got.perSecond <= 0 || got.bad > 0 || got.p50 <= 0 || got.p99 < got.p50 {
		t.Errorf("got %+v, %v", got, err)
	}
	before, _, err := m.cpu()
	if err != nil || before <= 0 {
		t.Errorf("got %v of processor time, %v", before, err)
	}
}
