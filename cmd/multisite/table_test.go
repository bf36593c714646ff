package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/multisite/multisite/supervisor/status"
)

// TestStatusTable_FitsWhateverIsInIt: also with long names and large numbers.
func TestStatusTable_FitsWhateverIsInIt(t *testing.T) {
	t.Parallel()
	const gigabyte = 1 << 30
	large := status.Memory{PSS: 123 * gigabyte, USS: 999 << 20, RSS: 200 * gigabyte}
	name := strings.Repeat("übergrößen-", 5)
	st := status.Status{Sites: []status.Site{{
		Name: name, State: "degraded", Settings: strings.Repeat("package.", 20) + "settings",
		Memory: status.SiteMemory{Memory: large}, Processes: status.Processes{Desired: 100, Ready: 99},
		Requests: status.Requests{Total: 99_999_999},
		LastExit: strings.Repeat("x", 200),
		Workers: []status.Worker{
			{ID: name + "/100", PID: 4_194_304, State: "draining", Memory: large, Requests: 9_999_999, Socket: "/very" + strings.Repeat("/long", 40) + "/7.sock"},
			{ID: name + "/8", State: "starting"},
		},
	}}}
	var out strings.Builder
	if err := printStatus(&out, st, time.Now()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > tableWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"123.00 GB", "999.0 MB", "4194304", "settings\n", "7.sock\n", "starting\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
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
