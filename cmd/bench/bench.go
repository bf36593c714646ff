package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// The virtual environment of the tests, and that of `make peers`, which has the peers, too.
const (
	defaultPython = "testdata/django/.venv/bin/python3"
	peersPython   = "cmd/bench/.venv/bin/python3"
)

// bench is one run of this program.
type bench struct {
	pythons []string // --python
	quick   bool
	rounds  int
	json    string
	binary  string // path of multisite: --multisite, or what prepare has built

	log    io.Writer // progress
	module string    // directory of the source
	tmp    string    // directory of all files; removed at the end
}

// run prepares, measures, cleans up and prints the report. After an error it prints what was
// measured before.
func (b *bench) run(cmd *cobra.Command, title string, measure func(context.Context, *report) error) error {
	ctx := cmd.Context()
	b.log = cmd.ErrOrStderr()
	cleanup, err := b.prepare(ctx)
	defer cleanup()
	if err != nil {
		return err
	}
	r := newReport(title)
	err = measure(ctx, r)
	fmt.Fprint(cmd.OutOrStdout(), r.markdown())
	if b.json != "" {
		err = errors.Join(err, r.writeJSON(b.json))
	}
	return err
}

func (b *bench) prepare(ctx context.Context) (cleanup func(), err error) {
	cleanup = func() {}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/multisite/multisite").Output()
	if err != nil {
		return cleanup, fmt.Errorf("find the source of multisite: %w", err)
	}
	b.module = strings.TrimSpace(string(out))
	if b.tmp, err = os.MkdirTemp("", "multisite-bench-"); err != nil {
		return cleanup, err
	}
	cleanup = func() { os.RemoveAll(b.tmp) }
	if err := os.Chmod(b.tmp, 0o755); err != nil { // Apache's daemons run as www-data
		return cleanup, err
	}
	if b.binary != "" {
		b.binary, err = filepath.Abs(b.binary)
		return cleanup, err
	}
	b.binary = filepath.Join(b.tmp, "multisite")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "./cmd/multisite")
	build.Dir = b.module
	if out, err := build.CombinedOutput(); err != nil {
		return cleanup, fmt.Errorf("build multisite: %w\n%s", err, out)
	}
	return cleanup, nil
}

// say prints progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// roundsOr returns the number of rounds, n unless a flag sets it.
func (b *bench) roundsOr(n int) int {
	switch {
	case b.rounds > 0:
		return b.rounds
	case b.quick:
		return 1
	}
	return n
}

// python returns the interpreter for commands that take only one.
func (b *bench) python() string { return b.allPythons()[0] }

// allPythons returns the interpreters as absolute paths. It does not follow links, because
// a link is how Python recognizes a virtual environment.
func (b *bench) allPythons() []string {
	if len(b.pythons) == 0 {
		python := filepath.Join(b.module, peersPython)
		if _, err := os.Stat(python); err != nil {
			python = filepath.Join(b.module, defaultPython)
		}
		return []string{python}
	}
	var all []string
	for _, p := range b.pythons {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		all = append(all, p)
	}
	return all
}
