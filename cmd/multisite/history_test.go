package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/statedir"
)

// TestHistory_OfARunningSupervisor: what an earlier run has recorded is shown, and stays
// through kill -9 and an upgrade.
func TestHistory_OfARunningSupervisor(t *testing.T) {
	t.Parallel()
	r := up(t, notifiedSites)
	if out := r.must("history"); !strings.Contains(out, "nothing was recorded") {
		t.Errorf("at first: got %q", out)
	}
	r.must("down")
	<-r.end.ch
	j, err := journal.Open(filepath.Join(r.dir, ".multisite", statedir.JournalDB), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		j.RecordPoint(journal.Point{Site: "subdomain1", Time: time.Now().Add(time.Duration(i-60) * time.Minute), Workers: 1, PSS: int64(10+i%7) << 20, Requests: 10, Errors: 1, P50: 20 * time.Millisecond, P99: time.Second})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r.out, r.log = &screen{}, &screen{}
	r.start()
	check := func(when string) {
		t.Helper()
		out := r.must("history", "--since", "2h")
		if fields := strings.Fields(out[strings.Index(out, "\n")+1:]); len(fields) < 7 || strings.Join(fields[:7], " ") != "subdomain1 12.9M 16.0M 600 60 20ms 1.0s" {
			t.Errorf("%s: got\n%s", when, out)
		}
	}
	check("after a start")
	r.upgrade()
	check("after an upgrade")
	r.wantKilledClean(0)
	check("after kill -9")
	if out := r.must("history", "subdomain1"); strings.Count(out, "\n") < 20 || !strings.Contains(out, "worker ready") {
		t.Errorf("of a site: got\n%s", out)
	}
	if out := r.must("history", "subdomain1", "--memory"); strings.Count(out, "\n") != plotRows+2 || !strings.Contains(out, "16.0M │") || !strings.Contains(out, "█") {
		t.Errorf("--memory: got\n%s", out)
	}
	var h control.History
	if err := json.Unmarshal([]byte(r.must("history", "subdomain1", "--json")), &h); err != nil || len(h.Points) != 60 || h.Points[0].Span != 60 {
		t.Errorf("--json: got %d points (%v)", len(h.Points), err)
	}
	for _, args := range [][]string{{"history", "--since", "soon"}, {"history", "--since", "-1h"}, {"history", "--memory"}} {
		if got := r.multisite(args...); got.code != 2 || !strings.Contains(got.stderr, "usage: multisite history") {
			t.Errorf("%q: exit %d: %s", args, got.code, got.stderr)
		}
	}
}

// TestHistory_Plot: a column is as high as its memory, and one without a point is empty.
func TestHistory_Plot(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	var points []control.Point
	for i := range 60 {
		if i < 20 || i >= 40 {
			points = append(points, control.Point{Time: now.Add(time.Duration(i-60) * time.Minute), Span: 60, PSS: int64(1+i/40) << 20})
		}
	}
	var b bytes.Buffer
	if err := drawMemory(&display{w: &b, width: 70}, points, now.Add(-time.Hour), now); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	high := "    2.0M │" + strings.Repeat(" ", 40) + strings.Repeat("█", 20)
	low := "         │" + strings.Repeat("█", 20) + strings.Repeat(" ", 20) + strings.Repeat("█", 20)
	if lines[0] != high || lines[plotRows-1] != low {
		t.Errorf("got\n%s\nwant\n%s\n…\n%s", b.String(), high, low)
	}
	if want := fmt.Sprintf("          11:00%*s", 60-5, "12:00"); lines[plotRows+1] != want {
		t.Errorf("got %q, want %q", lines[plotRows+1], want)
	}
}
