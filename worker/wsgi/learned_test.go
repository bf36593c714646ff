package wsgi

import (
	"strings"
	"testing"
)

// learnedApp has a page, and paths that visitors were answered and the warm-up is not.
const learnedApp = `
import os, time
def application(environ, start_response):
    if environ.get("multisite.warmup"):
        if environ["PATH_INFO"] == "/dies":
            os._exit(3)
        while environ["PATH_INFO"] == "/hangs":
            time.sleep(0.01)
    status = "404 Not Found" if environ["PATH_INFO"] == "/gone" else "200 OK"
    start_response(status, [])
    return [b"%d" % os.getpid()]
`

// TestLearned_WhatDoesNotWorkIsLeftOut: whatever visitors have asked for, the site starts, and
// its workers are forked.
func TestLearned_WhatDoesNotWorkIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, note string }{
		{"/ /page", "on, warmed up to what visitors ask for most: / /page"},
		{"/ /gone /page", "on, warmed up to what visitors ask for most: / /page"},
		{"/ /hangs /page", "on, warmed up to what visitors ask for most: / /page, left out /hangs: no answer within 3 s"},
		{"/ /dies", "on, left out /: the worker exited before it was ready: exit status 3, left out /dies: the worker exited before it was ready: exit status 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, learnedApp, func(o *Options) { o.Warmup, o.Learned = strings.Fields(c.name), true })
			wantServing(t, s.launch(1))
			if got := s.PreloadNote(); got != c.note {
				t.Errorf("preload %q, want %q", got, c.note)
			}
			if s.ZygotePID() == 0 {
				t.Error("there is no zygote")
			}
		})
	}
}

// TestLearned_TwoPathsThatLeaveSomethingOpen: each is left out, and the others stay.
func TestLearned_TwoPathsThatLeaveSomethingOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t, strings.Replace(searchApp, `== "/search"`, `in ("/search", "/find")`, 1), func(o *Options) {
		o.Warmup, o.Learned = []string{"/", "/find", "/page", "/search"}, true
	})
	wantServing(t, s.launch(1))
	got := s.PreloadNote()
	if !strings.HasPrefix(got, "on, warmed up to what visitors ask for most: / /page, left out /find: socket ") || !strings.Contains(got, "left out /search: socket ") {
		t.Errorf("preload %q", got)
	}
}
