package main

import (
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

func TestPrintNotes(t *testing.T) {
	t.Parallel()
	for preload, shown := range map[string]bool{
		"":             false,
		"on":           false,
		"on (project)": false,
		"off":          false,
		"on, warmed up to what visitors ask for most: / /blog/":                   false,
		"on, warmed up to /, left out /search: socket connected to 10.0.0.7:5672": true,
		"one worker": false,
		`off (thread "exporter" started in app.py:3)`:                                  true,
		"on, shared modules not learned (it waited for 2 s while it loaded)":           true,
		"on (project), shared modules not learned (it waited for 2 s while it loaded)": true,
		"on (a fork ends 3 threads of C libraries)":                                    true,
	} {
		var out strings.Builder
		printNotes(&display{w: &out, width: 200}, status.Status{Sites: []status.Site{{Name: "shop", Preload: preload}}}, time.Now())
		want := ""
		if shown {
			want = "shop: preload: " + preload + "\n"
		}
		if out.String() != want {
			t.Errorf("preload %q: printed %q, want %q", preload, out.String(), want)
		}
	}
}

func TestPrintNotes_SelfRoll(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 12, 0, 0, time.Local)
	less, more := int64(34<<20+100<<10), int64(-2<<20)
	for _, c := range []struct {
		saved *int64
		want  string
	}{
		{nil, ""}, {&less, ", which saves 34.1 MB"}, {&more, ", which costs 2.0 MB"},
	} {
		var out strings.Builder
		printNotes(&display{w: &out, width: 200}, status.Status{Sites: []status.Site{{Name: "shop", SelfRoll: &status.SelfRoll{At: at, Saved: c.saved}}}}, at)
		if want := "shop: workers replaced at 03:12, to share what visitors ask for most" + c.want + "\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	}
}
