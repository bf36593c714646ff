package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profiled is the share of its processor time that a part spends at some place, in percent.
type profiled struct {
	kernel  float64
	symbols []string // the greatest first, as "12 % copy_user"
}

// profile measures every contender once more, under perf, and leaves for each part
// what perf has recorded (TABLE.ROW.SERVER.PART.data) and a list of its symbols (.txt).
func (b *bench) profile(ctx context.Context, r *report, dir string, x row, host string, got *result) error {
	if dir == "" || x.kind == stalledReaders {
		return nil
	}
	if _, err := lookPath("perf"); err != nil {
		r.note("--profile: perf is not installed (apt-get install linux-perf).")
		return nil
	}
	t := r.profileTable()
	for _, n := range got.Runners {
		front, apps, err := n.split()
		if err != nil {
			return err
		}
		for _, part := range []struct {
			name  string
			procs []proc
		}{{"front door", front}, {"workers", apps}} {
			if len(part.procs) == 0 {
				continue
			}
			b.say("profile of %s, %s: %s", x.title, n.Name, part.name)
			p, err := b.profilePart(ctx, fileName(dir, got.Table, got.Row, n.Name, part.name), n, x, host, part.procs)
			if err != nil {
				return err
			}
			t.row(got.Table+", "+got.Row, n.Name, part.name, fmt.Sprintf("%.0f %%", p.kernel), strings.Join(p.symbols[:min(len(p.symbols), 6)], ", "))
		}
	}
	return nil
}

const profileTitle = "Where the time goes"

func (r *report) profileTable() *table {
	for _, t := range r.Tables {
		if t.Title == profileTitle {
			return t
		}
	}
	return r.table(profileTitle, "", "server", "part", "in the kernel", "most of it")
}

// profilePart records processes while clients request the row.
func (b *bench) profilePart(ctx context.Context, file string, n *runner, x row, host string, procs []proc) (profiled, error) {
	var pids []string
	for _, p := range procs {
		pids = append(pids, strconv.Itoa(p.pid))
	}
	const each = 2 * time.Second // enough samples also with --quick
	record := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "999", "-o", file+".data", "-p", strings.Join(pids, ","),
		"--", "sleep", fmt.Sprint(each.Seconds()))
	if err := record.Start(); err != nil {
		return profiled{}, err
	}
	_, driveErr := drive(ctx, n.addr, host, x.request, x.connections, each+200*time.Millisecond)
	if err := record.Wait(); err != nil {
		return profiled{}, fmt.Errorf("perf record: %w", err)
	}
	if driveErr != nil {
		return profiled{}, driveErr
	}
	out, err := exec.CommandContext(ctx, "perf", "report", "-i", file+".data", "--stdio", "--no-children", "-g", "none", "--sort", "sym").Output()
	if err != nil {
		return profiled{}, fmt.Errorf("perf report: %w%s", err, stderrOf(err))
	}
	return parsePerf(string(out)), os.WriteFile(file+".txt", out, 0o644)
}

func fileName(dir string, parts ...string) string {
	name := strings.ToLower(strings.Join(parts, "."))
	return filepath.Join(dir, regexp.MustCompile(`[^a-z0-9.]+`).ReplaceAllString(name, "-"))
}

// parsePerf parses lines such as "  12.34%  [k] tcp_sendmsg".
func parsePerf(report string) profiled {
	var p profiled
	for line := range strings.Lines(report) {
		share, rest, ok := strings.Cut(strings.TrimSpace(line), "%")
		percent, err := strconv.ParseFloat(share, 64)
		f := strings.Fields(rest)
		if !ok || err != nil || len(f) < 2 || !slices.Contains([]string{"[k]", "[.]"}, f[0]) {
			continue
		}
		if f[0] == "[k]" {
			p.kernel += percent
		}
		p.symbols = append(p.symbols, fmt.Sprintf("%.0f %% %s", percent, strings.Join(f[1:], " ")))
	}
	return p
}
