package main

import (
	"fmt"
	"slices"
	"strings"
)

// showRows adds the tables of the measured rows: the one of README.md, and those of
// docs/performance.md.
func (r *report) showRows() {
	r.showShort()
	for _, k := range []struct {
		kind kind
		show func(r *report, title string, rows []*result)
	}{{answersPerSecond, (*report).showAnswers}, {uploads, (*report).showUploads}, {stalledReaders, (*report).showReaders}} {
		var titles []string
		byTitle := map[string][]*result{}
		for _, x := range r.Rows {
			if x.kind == k.kind {
				if byTitle[x.Table] == nil {
					titles = append(titles, x.Table)
				}
				byTitle[x.Table] = append(byTitle[x.Table], x)
			}
		}
		for _, title := range titles {
			k.show(r, title, byTitle[title])
		}
	}
}

// showShort has one line for rows that differ in size alone: the ratio to the first peer.
func (r *report) showShort() {
	var t *table
	for _, x := range r.Rows {
		if x.kind != answersPerSecond || len(x.Runners) < 2 {
			continue
		}
		if t == nil {
			t = r.table(shortTitle, "", "beside", "requests/s of multisite ÷ its")
		}
		beside, ratio := x.Runners[1].Name, x.Runners[1].Ratio.short()
		what, which, many := x.Table, x.Row, x.Table != pythonTable
		if !many {
			what, which, many = strings.Cut(x.Row, ": ")
		}
		last := len(t.Rows) - 1
		switch {
		case !many:
			t.row(what, beside, ratio)
		case last >= 0 && t.Rows[last][0] == what && t.Rows[last][1] == beside:
			t.Rows[last][2] = fmt.Sprintf("%s, %s: %s", t.Rows[last][2], which, ratio)
		default:
			t.row(what, beside, which+": "+ratio)
		}
	}
}

// showAnswers has one line for each row. The first contender stands beside the second one,
// with its ratio to all others.
func (r *report) showAnswers(title string, rows []*result) {
	names := contendersOf(rows)
	columns := []string{"", "requests/s"}
	for _, name := range names[1:] {
		columns = append(columns, "÷ "+name)
	}
	columns = append(columns, "p50 / p99, ms", "CPU, µs")
	if len(names) > 1 {
		columns = append(columns, "p50 / p99 of "+names[1], "its CPU, µs")
	}
	t := r.table(title, columns...)
	for _, x := range rows {
		first := x.of(names[0])
		cells := []any{x.Row, thousands(first.PerSecond.median())}
		for _, name := range names[1:] {
			cells = append(cells, x.of(name).Ratio.short())
		}
		cells = append(cells, first.latency(), first.cpuText())
		if len(names) > 1 {
			cells = append(cells, x.of(names[1]).latency(), x.of(names[1]).cpuText())
		}
		t.row(cells...)
	}
}

func (r *report) showUploads(_ string, rows []*result) {
	for _, x := range rows {
		t := r.table("Uploads: "+x.Row, "", "MB/s", "CPU, ms", "memory at most, MB: front door", "workers")
		for _, n := range x.Runners {
			t.row(n.Name, thousands(n.PerSecond.median()), thousands((n.FrontCPU.median()+n.AppsCPU.median())/1000),
				n.FrontMemory.short(), n.AppsMemory.short())
		}
	}
}

func (r *report) showReaders(_ string, rows []*result) {
	for _, x := range rows {
		t := r.table(x.Row, "", "memory at most, MB: front door", "workers", "socket buffers",
			"when they have left", "all answers begun after, s")
		for _, n := range x.Runners {
			begun := n.Begun.short()
			if len(n.Begun.rounds) == 0 {
				begun = "not all"
			}
			t.row(n.Name, n.FrontMemory.short(), n.AppsMemory.short(), n.KernelMemory.short(), n.After.short(), begun)
		}
	}
}

// contendersOf returns the names of all contenders in the rows.
func contendersOf(rows []*result) []string {
	var names []string
	for _, x := range rows {
		for _, n := range x.Runners {
			if !slices.Contains(names, n.Name) {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

// of returns a contender, which has no figures if it was not there.
func (x *result) of(name string) *runner {
	for _, n := range x.Runners {
		if n.Name == name {
			return n
		}
	}
	return &runner{}
}

// String returns the progress that a row has made: all of its contenders.
func (x *result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n", x.Table, x.Row)
	for _, n := range x.Runners {
		fmt.Fprintf(&b, "  %-28s %9s/s  × %-5s  p50/p99 %s ms  CPU %s µs", n.Name, thousands(n.PerSecond.median()),
			n.Ratio.short(), n.latency(), n.cpuText())
		if x.kind != answersPerSecond {
			fmt.Fprintf(&b, "  MB: %s + %s, sockets %s, after %s", n.FrontMemory.short(), n.AppsMemory.short(), n.KernelMemory.short(), n.After.short())
		}
		fmt.Fprintf(&b, "  %s\n", counted(n.Bad, "wrong answer"))
	}
	return b.String()
}

func (n *runner) latency() string {
	if len(n.P50.rounds) == 0 {
		return "–"
	}
	return n.P50.short() + " / " + n.P99.short()
}

func (n *runner) cpuText() string {
	if len(n.FrontCPU.rounds) == 0 {
		return "–"
	}
	return thousands(n.FrontCPU.median()) + " + " + thousands(n.AppsCPU.median())
}

// thousands returns a number with commas between thousands, as "10,796", or with a decimal
// if it is small.
func thousands(v float64) string {
	if v < 9.95 {
		return fmt.Sprintf("%.1f", v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
