package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/multisite/multisite/supervisor/status"
)

// statusContract: what is printed is what docs/status.md describes, and the numbers agree
// with each other.
func statusContract(t *testing.T, r *running) {
	known := documented(t)
	for _, path := range slices.Sorted(maps.Keys(shape(t, r.must("status", "--json")))) {
		if path = strings.TrimPrefix(path, "."); !known[path] && !strings.HasPrefix(path, "supervisor.refused.") {
			t.Errorf("docs/status.md does not describe %s", path)
		}
	}
	var st status.Status
	if err := json.Unmarshal([]byte(r.must("status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	if st.Supervisor.PID != r.pid || time.Since(st.Supervisor.Started) > 10*time.Minute || st.Supervisor.Memory.PSS == 0 {
		t.Errorf("supervisor %+v, whose pid is %d", st.Supervisor, r.pid)
	}
	for _, site := range st.Sites {
		var pss, uss, rss, requests int64
		for _, w := range site.Workers {
			if m := w.Memory; m.USS <= 0 || m.USS > m.PSS || m.PSS > m.RSS {
				t.Errorf("worker %s: %+v, want 0 < uss <= pss <= rss", w.ID, m)
			}
			if w.Started.Before(st.Supervisor.Started) {
				t.Errorf("worker %s started %v, before the supervisor", w.ID, w.Started)
			}
			pss, uss, rss = pss+w.Memory.PSS, uss+w.Memory.USS, rss+w.Memory.RSS
			requests += w.Requests
		}
		if m := site.Memory; m.PSS != pss+m.ZygotePSS+m.OthersPSS || m.USS < uss || m.RSS < rss || m.ZygotePSS+m.OthersPSS == 0 && (m.USS != uss || m.RSS != rss) {
			t.Errorf("site %s: memory %+v is not the sum of its processes", site.Name, m)
		}
		if q := site.Requests; q.Total < requests || requests < 40 || q.PerSecond > 0 && q.P50 <= 0 || q.P99 < q.P50 || q.Active != 0 {
			t.Errorf("site %s: %+v, its workers answered %d", site.Name, q, requests)
		}
	}
}

// cutLast is strings.Cut at the last place.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// documented returns the paths of the values that docs/status.md describes.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(string(b), -1) {
		path := row[1]
		if list, _, found := cutLast(path, "[]."); found {
			known[list+"[]"] = true
		}
		for _, more := range []string{"", "[]", ".pss", ".uss", ".rss"} {
			if row[2] == "memory" || more == "" || more == "[]" {
				known[path+more] = true
			}
		}
	}
	if !known["sites[].workers[].memory.pss"] {
		t.Fatalf("the table was not understood: %v", known)
	}
	return known
}

// shape returns the type of every value in a JSON text, by its path.
func shape(t *testing.T, text string) map[string]string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(path+"."+key, value)
			}
		case []any:
			types[path+"[]"] = "list"
			for _, value := range v {
				walk(path+"[]", value)
			}
		case string:
			types[path] = "string"
			if _, err := time.Parse(time.RFC3339, v); err != nil && strings.HasSuffix(path, ".started") && v != "…" {
				t.Errorf("%s: %v", path, err)
			}
		default:
			types[path] = fmt.Sprintf("%T", v)
		}
	}
	walk("", v)
	return types
}

// statusTable: no line is longer than a terminal is wide, each site has a row, and each
// worker of a site one with its pid and memory.
func statusTable(t *testing.T, r *running) {
	for _, args := range [][]string{{"status"}, {"status", "-w"}, {"status", "subdomain1"}} {
		for line := range strings.Lines(r.must(args...)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > leastWidth {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
	}
	all := r.must("status")
	lines := strings.Split(all, "\n")
	if want := regexp.MustCompile(`^\d+ sites: .*; \d+ workers, \d.* MB, saved \d.* MB$`); !want.MatchString(lines[0]) {
		t.Errorf("it begins with %q", lines[0])
	}
	if want := []string{"SITE", "WORKERS", "MEM", "SAVED", "REQ/S", "P50", "P99", "ERR/H", "QUEUE", "LAST", "EVENT"}; !slices.Equal(strings.Fields(lines[2]), want) {
		t.Errorf("the table begins with %q", lines[2])
	}
	with := strings.Split(r.must("status", "--workers"), "\n")
	for _, site := range r.status().Sites {
		checkRow(t, lines, site.Name, "running 5/5", "M ")
		if strings.Contains(all, site.Workers[0].ID) {
			t.Errorf("status shows workers that nobody asked for:\n%s", all)
		}
		for _, w := range site.Workers {
			checkRow(t, with, w.ID, fmt.Sprint(w.PID), "ready", "M ")
		}
	}
	one := r.must("status", "subdomain2")
	if strings.Contains(one, "subdomain1/") || !strings.Contains(one, "subdomain2/5") || !strings.Contains(one, r.site("subdomain2").Settings) {
		t.Errorf("status subdomain2:\n%s", one)
	}
}

// checkRow fails the test when the table has no row of that name with all of want.
func checkRow(t *testing.T, lines []string, name string, want ...string) {
	t.Helper()
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) == 0 || fields[0] != name {
			continue
		}
		for _, s := range want {
			if !strings.Contains(line, s) {
				t.Errorf("the row %q has no %q", line, s)
			}
		}
		return
	}
	t.Errorf("the table has no row %s", name)
}
