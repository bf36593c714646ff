package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " 1 2 2 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 100 1000 100"
	for _, c := range []struct {
		name, line string
		want       proc
		ok         bool
	}{
		{"plain", "7 (python3) S" + rest, proc{pid: 7, parent: 1, cpu: 420 * time.Millisecond}, true},
		{"a name with a bracket", "8 (a) b) R" + rest, proc{pid: 8, parent: 1, cpu: 420 * time.Millisecond}, true},
		{"a zombie", "9 (x) Z" + rest, proc{}, false},
		{"cut", "9 (x) S 1 2", proc{}, false},
		{"empty", "", proc{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := parseStat(c.line); got != c.want || ok != c.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestTree_HoldsThisProcess(t *testing.T) {
	t.Parallel()
	procs, err := tree(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range procs {
		found = found || p.pid == os.Getpid()
	}
	if !found {
		t.Errorf("the tree of %d has no %d: %v", os.Getppid(), os.Getpid(), procs)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
}

func TestParseWrk(t *testing.T) {
	t.Parallel()
	got, err := parseWrk([]byte("words\nREPORT {\"requests\": 50, \"microseconds\": 500000, \"p50\": 1500, \"p99\": 4000, \"bad\": 2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.perSecond != 100 || got.p50 != 1.5 || got.p99 != 4 || got.bad != 2 || got.requests != 50 {
		t.Errorf("got %+v", got)
	}
	if _, err := parseWrk([]byte("Requests/sec: 100")); err == nil {
		t.Error("got no error for an output without report")
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newReport("test")
	r.note("a note")
	r.note("a note")
	table := r.table("A table", "server", "MB")
	table.row("multisite", figure{rounds: []float64{3, 1, 2}, digits: 1})
	text := r.markdown()
	if !strings.Contains(text, "## A table\n\n| server | MB |\n| --- | ---: |\n| multisite | 2.0 (1.0–3.0) |\n") || strings.Count(text, "a note") != 1 {
		t.Errorf("got\n%s", text)
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := r.writeJSON(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if f, _ := got.Tables[0].Rows[0][1].(map[string]any); f["median"] != 2.0 || f["max"] != 3.0 {
		t.Errorf("got %s", b)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	w := &windows{start: time.Now().Add(-2*window - window/2)}
	w.answer(time.Now(), true)
	w.answer(time.Now(), true)
	w.answer(time.Now(), false)
	got := w.perSecond(0, 4)
	for i, want := range []float64{0, 0, 2 / window.Seconds(), 0} {
		if got[i] != want {
			t.Errorf("window %d: got %v, want %v", i, got[i], want)
		}
	}
}
