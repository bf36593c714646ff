package apps_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/apps"
)

const (
	voterEnv   = "APPS_TEST_VOTER" // its value is the settings file
	processes  = 10
	votesEach  = 100
	oneDBSites = 2
)

// TestMain lets the test binary act as a worker process.
func TestMain(m *testing.M) {
	if settings := os.Getenv(voterEnv); settings != "" {
		if err := voter(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// ballot is the report of one process: how long each of its votes took.
type ballot struct{ Took []time.Duration }

// voter opens a site, prints a line, waits for a line, and votes as many visitors through
// the whole handler of the site. Each vote is two transactions: that of the session and
// its own.
func voter(settings string) error {
	ctx, log := context.Background(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	site, err := apps.Open(ctx, settings, apps.Options{Log: log})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var done ballot
	for range votesEach {
		r := httptest.NewRequest("POST", "http://any.localhost/drinks", strings.NewReader("choice=1"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		began := time.Now()
		site.ServeHTTP(w, r)
		done.Took = append(done.Took, time.Since(began))
		if w.Code != http.StatusSeeOther {
			return fmt.Errorf("vote answered with %d: %s", w.Code, w.Body)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		return err
	}
	return site.Close()
}

// TestProcesses checks that processes of several sites can make the database together and
// write to it at once, and that no write is refused or lost.
func TestProcesses_WriteOneDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	files := sharedSettings(t)
	var voters []*process
	for i := range processes {
		voters = append(voters, startVoter(t, files[i%oneDBSites]))
	}
	for _, p := range voters {
		if line := p.line(t); line != "ready\n" {
			t.Fatalf("a process said %q, want ready", line)
		}
	}
	loadPoll(t, files[0])

	began := time.Now()
	for _, p := range voters {
		_, _ = io.WriteString(p.stdin, "vote\n") // a process that is gone has no line below
	}
	var took []time.Duration
	for _, p := range voters {
		var b ballot
		if err := json.Unmarshal([]byte(p.line(t)), &b); err != nil {
			t.Fatalf("a process did not vote: %v\n%s", err, p.stderr)
		}
		took = append(took, b.Took...)
		if err := p.cmd.Wait(); err != nil {
			t.Fatalf("a process failed: %v\n%s", err, p.stderr)
		}
		if p.stderr.Len() > 0 {
			t.Errorf("a process complained: %s", p.stderr)
		}
	}
	elapsed := time.Since(began)

	want := fmt.Sprint(processes * votesEach)
	for _, query := range []string{
		"SELECT count(*) FROM polls_vote;", "SELECT count(DISTINCT voter) FROM polls_vote;", "SELECT count(*) FROM sessions_session;",
	} {
		if got := ask(t, files[0], query); got != want {
			t.Errorf("%s got %s, want %s", query, got, want)
		}
	}
	if got := ask(t, files[0], "PRAGMA integrity_check;"); got != "ok" {
		t.Errorf("integrity check: %s", got)
	}
	slices.Sort(took)
	t.Logf("%d processes of %d sites: %s votes, %d transactions in %v (%.0f per second); a vote took %v at the median, %v at the 99th percentile, %v at most",
		processes, oneDBSites, want, 2*len(took), elapsed.Round(time.Millisecond), float64(2*len(took))/elapsed.Seconds(),
		took[len(took)/2].Round(time.Microsecond), took[len(took)*99/100].Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))
}

// sharedSettings writes the settings of two sites with one database.
func sharedSettings(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for id := 1; id <= oneDBSites; id++ {
		file := filepath.Join(dir, fmt.Sprintf("site%d.toml", id))
		text := fmt.Sprintf("extends = \"builtin:settings.toml\"\nsite_id = %d\nallowed_hosts = [\"site%d.localhost\", \".localhost\"]\n"+
			"database = \"one.db\"\nsecret_key_file = \"secret\"\nroot_urlconf = {\"/\" = \"polls\"}\n", id, id)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func loadPoll(t testing.TB, settings string) {
	t.Helper()
	const dump = `[{"table": "polls_poll", "rows": [{"id": 1, "question": "Tea or coffee?", "slug": "drinks", "opens_at": "2020-01-01T00:00:00Z"}]},
		{"table": "polls_poll_sites", "rows": [{"poll_id": 1, "site_id": 1}, {"poll_id": 1, "site_id": 2}]},
		{"table": "polls_choice", "rows": [{"id": 1, "poll_id": 1, "text": "Tea"}, {"id": 2, "poll_id": 1, "text": "Coffee"}]}]`
	if code, out := manageFile(t, settings, dump, "loaddata", "-"); code != 0 {
		t.Fatalf("loaddata: exit code %d: %s", code, out)
	}
}

// ask returns the one value of a query.
func ask(t testing.TB, settings, query string) string {
	t.Helper()
	code, out := manageFile(t, settings, query, "dbshell")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 {
		t.Fatalf("%s: exit code %d: %s", query, code, out)
	}
	return lines[1]
}

type process struct {
	cmd    *exec.Cmd
	stdin  io.Writer
	stdout *bufio.Reader
	stderr *strings.Builder
}

func startVoter(t testing.TB, settings string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), os.Args[0]), stderr: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), voterEnv+"="+settings)
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has exited already unless the test failed
	return p
}

func (p *process) line(t testing.TB) string {
	t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("a process ended: %v\n%s", err, p.stderr)
	}
	return line
}
