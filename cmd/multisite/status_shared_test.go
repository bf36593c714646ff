package main

import (
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

func TestPrintShared(t *testing.T) {
	t.Parallel()
	for preload, shown := range map[string]bool{
		"":             false,
		"on":           false,
		"on (project)": false,
		"off":          false,
		"one worker":   false,
		`off (thread "exporter" started in app.py:3)`:                                  true,
		"on, shared modules not learned (it waited for 2 s while it loaded)":           true,
		"on (project), shared modules not learned (it waited for 2 s while it loaded)": true,
		"on (a fork ends 3 threads of C libraries)":                                    true,
	} {
		var out strings.Builder
		printShared(&out, status.Status{Sites: []status.Site{{Name: "shop", Preload: preload}}})
		want := ""
		if shown {
			want = "\nshop: preload: " + preload + "\n"
		}
		if out.String() != want {
			t.Errorf("preload %q: printed %q, want %q", preload, out.String(), want)
		}
	}
}
