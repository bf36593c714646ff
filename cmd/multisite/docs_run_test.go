package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notRun are the console blocks that no test runs, by document and first command.
// Each has the option "norun" in its document.
var notRun = map[string]omission{
	"CONTRIBUTING.md: make build":                    {why: "README.md has it, too"},
	"CONTRIBUTING.md: make test":                     {why: "it is what runs this test"},
	"README.md: make test":                           {why: "it is what runs this test"},
	"README.md: python3 -m venv .venv":               {why: "the package index may be out of reach", instead: linkVenv},
	"docs/getting-started.md: make build":            {why: "README.md has it, too"},
	"docs/getting-started.md: python3 -m venv .venv": {why: "the package index may be out of reach", instead: linkVenv},
	"docs/operations.md: multisite maintenance shop on --page busy.html --allow 10.0.0.0/8": {why: "it has no such site; TestMaintenance and TestPause run these commands"},
	"docs/operations.md: systemctl daemon-reload":                                           {why: "there is no systemd; testdata/systemd/try runs it"},
	"docs/operations.md: install multisite /usr/local/bin/multisite":                        {why: "it writes outside of the test's directory; TestUpgrade runs an upgrade"},
	"docs/performance.md: make peers":                                                       {why: "it installs packages, and takes minutes on a machine that does nothing else"},
	"examples/django/README.md: python3 -m venv .venv":                                      {why: "the package index may be out of reach", instead: linkVenv},
}

// omission is why no test runs a block, and what a test types instead of it.
type omission struct{ why, instead string }

// linkVenv gives a project of the documents the Django of the tests.
const linkVenv = "ln -s $VENV .venv"

// buildPatience is how long one command of a document may take: some build programs.
const buildPatience = 5 * time.Minute

// TestDocs_Commands runs what the documents tell a reader to type, and compares what
// is printed with what they show. Each document has a copy of the repository of its
// own, in which it begins.
func TestDocs_Commands(t *testing.T) {
	t.Parallel()
	django(t) // which the copies need
	seen := map[string]bool{}
	for _, file := range documents(t) {
		var run []block
		for _, b := range blocks(t, file) {
			switch {
			case b.is("console", "norun"):
				key := checkNotRun(t, b)
				seen[key] = true
				if instead := notRun[key].instead; instead != "" {
					b.info, b.text = b.info[:1], "$ "+instead+"\n"
					run = append(run, b)
				}
			case len(b.info) > 0 && (b.info[0] == "console" || len(b.info) > 1):
				run = append(run, b)
			case len(b.info) > 0 && (b.info[0] == "sh" || b.info[0] == "bash"):
				t.Errorf("%s:%d: a block of commands is a console block", file, b.line)
			}
		}
		if len(run) > 0 {
			t.Run(strings.ReplaceAll(file, "/", "_"), func(t *testing.T) { t.Parallel(); runDocument(t, run) })
		}
	}
	for key := range notRun {
		if !seen[key] {
			t.Errorf("%q is in notRun, but in no document", key)
		}
	}
}

// checkNotRun returns the key of a block in notRun, where it has to be.
func checkNotRun(t *testing.T, b block) string {
	t.Helper()
	commands := b.commands()
	if len(commands) == 0 {
		t.Errorf("%s:%d: the block has no command", b.file, b.line)
		return ""
	}
	key := b.file + ": " + commands[0].text
	if notRun[key].why == "" {
		t.Errorf("%s:%d: %q is not in notRun, with the reason why no test runs it", b.file, b.line, key)
	}
	return key
}

// A reader types the commands of one document.
type reader struct {
	t    *testing.T
	dir  string // the working directory, which a command may change
	home string // of the copy
	addr string // stands for 127.0.0.1:8080, which may be taken
}

func runDocument(t *testing.T, run []block) {
	home := t.TempDir()
	copyRepository(t, home)
	if err := os.Symlink(filepath.Join(django(t), ".venv"), filepath.Join(home, "testdata/django/.venv")); err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, dir: home, home: home, addr: freeAddress(t)}
	r.moveDoor()
	t.Cleanup(func() {
		if t.Failed() {
			endSupervisors(t, home)
			return
		}
		checkNothingLeft(t, home)
	})
	for _, b := range run {
		if b.info[0] == "console" {
			for _, c := range b.commands() {
				r.typeIn(b.file, c)
			}
			continue
		}
		if err := os.WriteFile(filepath.Join(r.dir, b.info[1]), []byte(r.here(b.text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// freeAddress returns an address on which nothing listens. No other test uses its
// host, so that its port stays free.
func freeAddress(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 100+pid>>14&63, pid>>7&127, 1+pid&127))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// moveDoor gives every sites.toml of the copy the reader's address.
func (r *reader) moveDoor() {
	for _, pattern := range []string{"sites.toml", "testdata/django/sites.toml", "examples/*/sites.toml"} {
		files, err := filepath.Glob(filepath.Join(r.home, pattern))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				r.t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(r.here(readFile(r.t, file))), info.Mode()); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// here returns a text of the documents as it is true for this reader.
func (r *reader) here(text string) string {
	_, port, _ := net.SplitHostPort(r.addr)
	text = strings.ReplaceAll(text, "127.0.0.1:8080", r.addr)
	text = strings.ReplaceAll(text, ".localhost:8080", ".localhost:"+port)
	return strings.ReplaceAll(text, "go run ./cmd/multisite", "multisite")
}

// typeIn runs one command. One whose output shows an error must fail, every other
// must succeed. One whose output ends with ^C runs until the rest of it was printed.
func (r *reader) typeIn(file string, c typed) {
	r.t.Helper()
	want := c.want
	interrupt := len(want) > 0 && want[len(want)-1] == "^C"
	if interrupt {
		want[len(want)-1] = "..." // it reports its end
	}
	fails := false
	for i, line := range want {
		fails = fails || strings.HasPrefix(line, "multisite: error: ")
		want[i] = r.here(line)
	}
	out := &screen{}
	err := r.run(c.text, out, interrupt, func() bool { return matchOutput(want, out.String()) == nil })
	if (err != nil) != fails {
		r.t.Fatalf("%s:%d: $ %s\n%v\n%s", file, c.line, c.text, err, out.String())
	}
	if err := matchOutput(want, out.String()); err != nil {
		r.t.Fatalf("%s:%d: $ %s\n%v\nIt printed:\n%s", file, c.line, c.text, err, out.String())
	}
}

func (r *reader) run(text string, out *screen, interrupt bool, complete func() bool) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), buildPatience)
	defer cancel()
	text = r.here(text)
	went := filepath.Join(r.t.TempDir(), "cwd")
	if !interrupt {
		text = "trap 'pwd >" + went + "' EXIT\n" + text
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", text)
	cmd.Env = append(os.Environ(), "VENV="+filepath.Join(r.home, "testdata/django/.venv"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.dir, out, out
	cmd.WaitDelay = time.Second // a background process may keep its output open
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	if interrupt {
		shown := r.awaitOutput(complete)
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			return err
		}
		return errors.Join(shown, cmd.Wait())
	}
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	if dir, err := os.ReadFile(went); err == nil {
		r.dir = strings.TrimSpace(string(dir))
	}
	return err
}

// awaitOutput waits until what is shown was printed.
func (r *reader) awaitOutput(complete func() bool) error {
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !complete() {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("waited %v for its output", patience)
		}
	}
	return nil
}

// matchOutput compares lines, but for empty ones, warnings, and the width of spaces.
// A line "..." stands for any lines, "…" for anything in a line, and a number that
// differs from run to run for any such number.
func matchOutput(want []string, got string) error {
	var pattern, lines strings.Builder
	for _, line := range want {
		switch {
		case strings.TrimSpace(line) == "...":
			pattern.WriteString(`(?:.*\n)*`)
		case strings.TrimSpace(line) != "":
			pattern.WriteString(linePattern(line) + `\n`)
		}
	}
	for line := range strings.Lines(got) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "multisite: warning: ") {
			lines.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
		}
	}
	if !regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(lines.String()) {
		return fmt.Errorf("its output is not what is shown:\n%s", strings.Join(want, "\n"))
	}
	return nil
}

// varies finds what no two runs have alike: numbers of four digits and more, sizes,
// durations, times of day.
var varies = regexp.MustCompile(`\b(\d{4,}|\d+(?:\.\d+)?[MG]|\d+(?:\.\d+)? [kKMG]?B|(?:\d+(?:\.\d+)?(?:ms|s|m|h))+|\d\d:\d\d)\b`)

func linePattern(line string) string {
	line = strings.Join(strings.Fields(line), " ")
	var b strings.Builder
	rest := func(text string) { b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*")) }
	end := 0
	for _, at := range varies.FindAllStringIndex(line, -1) {
		rest(line[end:at[0]])
		b.WriteString(numberPattern(line[at[0]:at[1]]))
		end = at[1]
	}
	rest(line[end:])
	return b.String()
}

// numberPattern matches numbers that are written as this one is.
func numberPattern(number string) string {
	switch {
	case strings.HasSuffix(number, "B"):
		return `\d+(?:\.\d+)? [kKMG]?B`
	case strings.HasSuffix(number, "M"), strings.HasSuffix(number, "G"):
		return `\d+(?:\.\d+)?[MG]`
	case strings.Contains(number, ":"):
		return `\d\d:\d\d`
	case strings.ContainsAny(number, "smh"):
		return `(?:\d+(?:\.\d+)?(?:µs|ms|s|m|h))+`
	}
	return `\d+`
}
