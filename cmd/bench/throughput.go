package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// rowFlags are the flags of the commands that measure rows.
type rowFlags struct {
	rows    []string
	beside  []string
	also    []string
	profile string
	docs    bool
}

func (b *bench) throughputCommand() *cobra.Command {
	return b.rowsCommand("throughput", "Requests per second, latency and processor time beside the peers, in many rows", busyConnections)
}

func (b *bench) latencyCommand() *cobra.Command {
	return b.rowsCommand("latency", "The same rows with one connection: how long an answer takes", 1)
}

func (b *bench) rowsCommand(use, short string, connections int) *cobra.Command {
	f := &rowFlags{}
	cmd := b.command(use, short, func(ctx context.Context, r *report) error { return b.measureRows(ctx, r, f, connections) })
	flags := cmd.Flags()
	flags.StringSliceVar(&f.rows, "rows", nil, "only these rows, as get,post,static (default all)")
	flags.StringSliceVar(&f.beside, "beside", nil, "only peers with one of these words in their names, as uWSGI (default all)")
	flags.StringSliceVar(&f.also, "also", nil, "other binaries of multisite to measure, as one of a version before")
	flags.StringVar(&f.profile, "profile", "", "leave profiles by perf of front door and workers in this directory, for every row")
	if connections == busyConnections {
		flags.BoolVar(&f.docs, "docs", false, "write the tables into README.md and docs/performance.md, too")
	}
	return cmd
}

// lapTime returns how long a site is measured among others.
func (b *bench) lapTime() time.Duration {
	if b.quick {
		return time.Second
	}
	return 5 * time.Second
}

// rowTime returns how long one contender is measured in one round of a row.
func (b *bench) rowTime() time.Duration {
	if b.quick {
		return 300 * time.Millisecond
	}
	return 2 * time.Second
}

// measureRows measures the chosen rows. What was measured before an error is shown.
func (b *bench) measureRows(ctx context.Context, r *report, f *rowFlags, connections int) error {
	dir, err := b.newDir()
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "benchsite")
	all, err := choose(setups(connections, dir, program), f.rows)
	if err != nil {
		return err
	}
	if f.profile != "" {
		if err := os.MkdirAll(f.profile, 0o755); err != nil {
			return err
		}
	}
	if err := writeFiles(dir); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", b.module, "-o", program, "./testdata/benchsite")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the Go site: %w\n%s", err, out)
	}
	p, err := b.newProject(ctx, b.python())
	if err != nil {
		return err
	}
	r.note("%s for all but Apache, which has its own. Access logs are on everywhere, written in batches. "+
		"The clients are one thread on the same machine and compare every answer.", p.version)
	for _, s := range withoutMissing(r, all) {
		if err := b.measureSetup(ctx, r, p, s, f); err != nil {
			r.showRows()
			return err
		}
	}
	r.showRows()
	if f.docs {
		return r.writeDocs(b.module)
	}
	return nil
}

// contenders returns multisite, the other binaries of it, and the chosen peers of a setup.
func (b *bench) contenders(ctx context.Context, r *report, p *project, s setup, f *rowFlags) []contender {
	all := []contender{shared}
	for _, binary := range f.also {
		path, err := filepath.Abs(binary)
		if err != nil {
			path = binary
		}
		all = append(all, otherMultisite("multisite of "+binary, path, `preload = "auto"`))
	}
	chosen := slices.DeleteFunc(s.peers, func(p peer) bool {
		return len(f.beside) > 0 && !slices.ContainsFunc(f.beside, func(word string) bool { return strings.Contains(p.name, word) })
	})
	return append(all, b.installed(ctx, r, p, chosen)...)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
