package main

import (
	"strings"
	"testing"
)

// TestMatchOutput has what may differ from the page, and what may not.
func TestMatchOutput(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want, got string
		match           bool
	}{
		{"the same", "done", "done\n", true},
		{"another word", "done", "begun\n", false},
		{"nothing instead of a line", "done", "", false},
		{"a line instead of nothing", "", "done\n", false},
		{"a line more", "done", "done\ndone\n", false},
		{"width of spaces", "shop   running", "shop running\n", true},
		{"an empty line", "a\n\nb", "a\nb\n", true},
		{"a warning", "a", "multisite: warning: these sites run as root\na\n", true},
		{"an error", "a", "multisite: error: no\na\n", false},
		{"any lines", "a\n...\nz", "a\nb\nc\nz\n", true},
		{"no line for any lines", "a\n...\nz", "a\nz\n", true},
		{"the end is missing", "a\n...\nz", "a\nb\n", false},
		{"anything in a line", "…/run/1.sock", "…tisite/run/1.sock\n", true},
		{"not in two lines", "a … b", "a\nb\n", false},
		{"a process id", "pid 20190,", "pid 7,\n", true},
		{"a small number", "running 3/3", "running 2/3\n", false},
		{"a size", "13.2 MB", "9 KB\n", true},
		{"a size in a table", "13.2M 1", "1.20G 1\n", true},
		{"a duration", "in 11.452s", "in 1m2s\n", true},
		{"no duration", "in 11.452s", "in time\n", false},
		{"a time of day", "at 07:07 failed", "at 14:33 failed\n", true},
		{"a character that means something to a pattern", "a.b*", "axbb\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := matchOutput(strings.Split(test.want, "\n"), test.got); (err == nil) != test.match {
				t.Errorf("%q and %q: %v, want a match: %v", test.want, test.got, err, test.match)
			}
		})
	}
}
