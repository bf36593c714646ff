package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	s, err := shared.start(t.Context(), b, p, []site{rowsSite(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	for _, x := range []row{
		get("", "GET", 300_000, 4), post("", "POST", 100_000, 4),
		{"", "chunks", request{path: "/chunks/3000", want: pattern(3000)}, 4, answersPerSecond},
		{"", "chunked", request{path: "/pieces/200000", want: pattern(200_000)}, 4, answersPerSecond},
		{"", "closing", request{path: "/get/10", want: pattern(10), perConnection: true}, 4, answersPerSecond},
		{"", "upload", post("", "", 3_000_000, 1).request, 1, uploads},
	} {
		got, err := b.race(t.Context(), newReport("test"), x, rowsSite(1).host, []*server{s})
		if err != nil {
			t.Fatalf("%s: %v", x.title, err)
		}
		if n := got.Runners[0]; n.Bad != 0 || n.PerSecond.median() <= 0 || n.P50.median() <= 0 || n.P99.median() < n.P50.median() {
			t.Errorf("%s: got %+v", x.title, n)
		}
	}
	wrong := get("", "GET", 1000, 4)
	wrong.request.want[999]++
	r := newReport("test")
	if _, err := b.race(t.Context(), r, wrong, rowsSite(1).host, []*server{s}); err == nil || !strings.Contains(err.Error(), "a wrong body from byte") {
		t.Errorf("answers whose last byte is another: got %v", err)
	}
}

// TestStall_SeesTheMemory: the answers that nobody reads are somewhere.
func TestStall_SeesTheMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	s, err := shared.start(t.Context(), b, p, []site{rowsSite(1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	n := newRunner(s)
	if err := b.stall(t.Context(), n, get("", "", 5_000_000, 20), rowsSite(1).host); err != nil {
		t.Fatal(err)
	}
	if n.Bad != 0 || n.FrontMemory.median()+n.KernelMemory.median() <= 0 || len(n.After.rounds) != 1 || n.Begun.median() <= 0 {
		t.Errorf("got %+v", n)
	}
}

func TestMeasureRows_ShowsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newReport("test")
	f := &rowFlags{rows: []string{"static", "go"}, beside: []string{"worker's"}}
	if err := b.measureRows(t.Context(), r, f, 2); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, table := range r.Tables {
		rows[table.Title] = len(table.Rows)
	}
	if want := map[string]int{shortTitle: 1, "Static files": 3, "A Go site": 2}; !maps.Equal(rows, want) || len(r.Rows) != 5 {
		t.Errorf("got %d rows, and tables of so many: %v, want %v", len(r.Rows), rows, want)
	}
	for _, x := range r.Rows {
		if n := x.Runners[0]; n.Bad != 0 || n.PerSecond.median() <= 0 {
			t.Errorf("%s, %s: got %+v", x.Table, x.Row, n)
		}
	}
}

func TestProfile_IsOfEachPart(t *testing.T) {
	t.Parallel()
	if _, err := lookPath("perf"); err != nil {
		t.Skip("perf is not installed")
	}
	b := newBench(t)
	r := newReport("test")
	f := &rowFlags{rows: []string{"limited"}, beside: []string{"nobody"}, profile: t.TempDir()}
	if err := b.measureRows(t.Context(), r, f, 2); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(f.profile, "python-sites.*.txt"))
	if err != nil || len(files) != 2 {
		t.Errorf("got the profiles %v, %v", files, err)
	}
	if len(r.Tables) != 2 || r.Tables[0].Title != profileTitle || len(r.Tables[0].Rows) != 2 {
		t.Errorf("got the tables %+v", r.Tables)
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
	here := b.installed(t.Context(), r, &project{python: filepath.Join(t.TempDir(), "python3")}, pythonPeers())
	if len(here)+countNotes(r, "not here") != len(pythonPeers()) {
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
