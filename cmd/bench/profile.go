package main

import (
	"context"
	"errors"
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

// profile drives the first contender once more, under perf. It leaves for each part
// what perf has recorded (TABLE.ROW.PART.data) and a list of its symbols (.txt).
func (b *bench) profile(ctx context.Context, r *report, dir string, x row, host string, got *result) error {
	if dir == "" || x.kind == stalledReaders {
		return nil
	}
	if _, err := lookPath("perf"); err != nil {
		r.note("--profile: perf is not installed (apt-get install linux-perf).")
		return nil
	}
	b.say("%s: profile", x.title)
	n := got.Runners[0]
	front, apps, err := n.split()
	if err != nil {
		return err
	}
	var parts []*perf
	for name, procs := range map[string][]proc{"front door": front, "workers": apps} {
		if len(procs) > 0 {
			parts = append(parts, &perf{part: name, procs: procs, file: fileName(dir, got.Table, got.Row, name)})
		}
	}
	slices.SortFunc(parts, func(a, b *perf) int { return strings.Compare(a.part, b.part) })
	for _, part := range parts {
		err = errors.Join(err, part.record(ctx))
	}
	if err == nil {
		_, err = n.drive(ctx, host, x, profileTime+200*time.Millisecond)
	}
	t := r.profileTable()
	for _, part := range parts {
		p, partErr := part.report(ctx)
		err = errors.Join(err, partErr)
		t.row(got.Table+", "+got.Row, part.part, fmt.Sprintf("%.0f %%", p.kernel), strings.Join(p.symbols[:min(len(p.symbols), 6)], ", "))
	}
	return err
}

const profileTitle = "Where the time goes"

func (r *report) profileTable() *table {
	for _, t := range r.Tables {
		if t.Title == profileTitle {
			return t
		}
	}
	return r.table(profileTitle, "", "part", "in the kernel", "most of it")
}

// perf records the processes of one part.
type perf struct {
	part  string
	procs []proc
	file  string // without its ending
	cmd   *exec.Cmd
}

// profileTime is enough for a few thousand samples.
const profileTime = 2 * time.Second

func (p *perf) record(ctx context.Context) error {
	var pids []string
	for _, one := range p.procs {
		pids = append(pids, strconv.Itoa(one.pid))
	}
	p.cmd = exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "999", "-o", p.file+".data", "-p", strings.Join(pids, ","),
		"--", "sleep", fmt.Sprint(profileTime.Seconds()))
	return p.cmd.Start()
}

// report waits for the end of the recording.
func (p *perf) report(ctx context.Context) (profiled, error) {
	if err := p.cmd.Wait(); err != nil {
		return profiled{}, fmt.Errorf("perf record: %w", err)
	}
	out, err := exec.CommandContext(ctx, "perf", "report", "-i", p.file+".data", "--stdio", "--no-children", "-g", "none", "--sort", "sym").Output()
	if err != nil {
		return profiled{}, fmt.Errorf("perf report: %w%s", err, stderrOf(err))
	}
	return parsePerf(string(out)), os.WriteFile(p.file+".txt", out, 0o644)
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
