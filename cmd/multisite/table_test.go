package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/multisite/multisite/supervisor/status"
)

// TestStatus_FitsWhateverIsInIt: also with long names and large numbers, and in a terminal
// of any width that holds the columns without texts.
func TestStatus_FitsWhateverIsInIt(t *testing.T) {
	t.Parallel()
	const gigabyte = 1 << 30
	now := time.Now()
	large := status.Memory{PSS: 123 * gigabyte, USS: 999 << 20, RSS: 200 * gigabyte}
	name := strings.Repeat("übergrößen-", 5)
	site := status.Site{
		Name: name, State: "degraded", Settings: strings.Repeat("package.", 20) + "settings",
		Memory: status.SiteMemory{Memory: large, Saved: large.PSS}, Processes: status.Processes{Desired: 100, Ready: 99},
		Requests:  status.Requests{Total: 99_999_999, PerSecond: 1_234_567, P50: 12345, P99: 99999, LastHour: 99_999_999, Queued: 99_999_999},
		LastEvent: &status.Event{At: now.Add(-1000 * 24 * time.Hour), What: "request_timeout"},
		Services:  []status.Service{{Name: name, State: "stopping", PID: 4_194_304, Memory: large, StopBy: &now}},
		Workers: []status.Worker{
			{ID: name + "/100", PID: 4_194_304, State: "draining", Memory: large, Requests: 999_999_999, Generation: 99999, CPU: 1e8,
				Running: []status.Running{{What: "GET /" + strings.Repeat("long/", 40), Since: now}}},
			{ID: name + "/8", State: "starting", Started: now, Since: now},
		},
	}
	for _, width := range []int{80, 90, 200} {
		var out strings.Builder
		d := &display{w: &out, width: width}
		printStatus(d, status.Status{Sites: []status.Site{site}}, now)
		printSite(d, site, now)
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width && !strings.Contains(line, "package.") {
				t.Errorf("%d columns in %d: %s", n, width, line)
			}
		}
		for _, want := range []string{"123G", "999M", " 4194304 ", "en-/100 ", "en-/8 ", "starting", "degraded 99/100", "1235k", "12345s"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in:\n%s", want, &out)
			}
		}
	}
}

// TestTable: columns without text are left out, numbers end together, and nothing that a
// terminal would obey gets through.
func TestTable(t *testing.T) {
	t.Parallel()
	table := newTable(column{head: "A", least: 3}, column{head: "NONE"}, column{head: "N", right: true}, column{head: "Z"})
	table.row("long name", "", "1", "z")
	table.row("x\x1b[31m\n", "", "100", "")
	table.line("across", plain)
	var out strings.Builder
	table.write(&display{w: &out, width: 12})
	if want := "A        N Z\nlong …   1 z\nx\\u00… 100\nacross\n"; out.String() != want {
		t.Errorf("got\n%s", &out)
	}
	if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "NONE") {
		t.Errorf("got\n%q", out.String())
	}
}

// TestDisplay_Colours: only what the display itself writes is a control sequence.
func TestDisplay_Colours(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	d := &display{w: &out, width: 80, colour: true}
	d.say("a\x1b[0mb", red)
	if want := "\x1b[31ma\\u001b[0mb\x1b[0m\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestSites_OrderOfNeed: what needs a person comes first.
func TestSites_OrderOfNeed(t *testing.T) {
	t.Parallel()
	sites := []status.Site{
		{Name: "a", State: "running"}, {Name: "b", State: "sleeping"}, {Name: "c", State: "running", Failed: &status.Failure{}},
		{Name: "d", State: "degraded"}, {Name: "e", State: "failed"}, {Name: "f", State: "running", Services: []status.Service{{Looping: true}}},
	}
	slices.SortStableFunc(sites, orders["attention"])
	got := ""
	for _, s := range sites {
		got += s.Name
	}
	if got != "edcfab" {
		t.Errorf("got %s", got)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 4*time.Minute: "3h04m",
		47 * time.Hour: "47h00m", 49 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0.0 MB", 1 << 19: "0.5 MB", 999 << 20: "999.0 MB", 1000 << 20: "0.98 GB"} {
		if got := mb(n); got != want {
			t.Errorf("%s is %s, want %s", fmt.Sprint(n), got, want)
		}
	}
}
