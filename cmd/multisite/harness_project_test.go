package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pythonSites is the beginning of most tests' sites.toml: Python sites of the article's
// project, with a database for this test alone.
const pythonSites = `
listen = "127.0.0.1:0"
[defaults]
python_path = ["${DJANGO}"]
python_home = "${VENV}"
env = { MULTISITE_DB = "${DB}" }
`

const subdomain1 = `
[site.subdomain1]
server_name = "subdomain1.example.com"
settings = "subdomain1_settings"
`

const (
	host1 = "subdomain1.example.com"
	host2 = "subdomain2.example.com"
)

// articleSites is the article's own sites.toml, but on a free port and with the
// test's Python and database.
func articleSites(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(django(t), "sites.toml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for old, now := range map[string]string{
		`listen = "127.0.0.1:8080"`: `listen = "127.0.0.1:0"`,
		`python_path = ["."]`: `python_path = ["${DJANGO}"]` + "\n" + `python_home = "${VENV}"` + "\n" +
			`env = { MULTISITE_DB = "${DB}" }`,
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("testdata/django/sites.toml has no line %q", old)
		}
		text = strings.Replace(text, old, now, 1)
	}
	return text
}

// django returns the directory of the article's project. Without its virtual environment
// the test fails: tests never skip because Python is missing.
func django(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../testdata/django")
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{".venv/ready", "test.sqlite3"} {
		if _, err := os.Stat(filepath.Join(dir, made)); err != nil {
			t.Fatalf("%v; run: make test", err)
		}
	}
	return dir
}

// newDir creates a directory with a sites.toml and a copy of the project's database.
func newDir(t testing.TB, sites string) string {
	t.Helper()
	dir := t.TempDir()
	copyDatabase(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "sites.toml"), []byte(sites), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyDatabase(t testing.TB, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(django(t), "test.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db.sqlite3"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// projectEnv returns the variables that a test's sites.toml may use as ${...}.
func projectEnv(t testing.TB, dir string) []string {
	t.Helper()
	project := django(t)
	return []string{
		"DJANGO=" + project,
		"VENV=" + filepath.Join(project, ".venv"),
		"DB=" + filepath.Join(dir, "db.sqlite3"),
		"MULTISITE_PROGRESS=none", // on a busy machine it would be shown where no test expects it
	}
}

// command returns a command that runs in dir with the variables of projectEnv.
func command(t testing.TB, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), projectEnv(t, dir)...)
	return cmd
}
