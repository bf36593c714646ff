package browsertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const dashboardSites = `
listen = "127.0.0.1:0"
dashboard = "127.0.0.1:0"
[site.subdomain1]
server_name = "subdomain1.localhost"
settings = "builtin:subdomain1"
processes = 1
`

// TestDashboard: the printed address and the file that the desktop opens both lead a
// browser to the page, whose address keeps no token and whose cookie no script can
// read. An upgrade does not log the browser out.
func TestDashboard(t *testing.T) {
	t.Parallel()
	m := start(t, dashboardSites)
	address := strings.TrimSpace(m.run("dashboard"))
	b := newBrowser(t)
	for _, from := range []string{"file://" + m.opened(), address} {
		b.open(from)
		b.eventuallySees("h1", "multisite")
		b.eventuallySees("main", "subdomain1")
		if got := b.evaluate("location.pathname + location.search"); got != "/" {
			t.Errorf("from %s the address is %s, want no token in it", from, got)
		}
		if got := b.evaluate("document.cookie"); got != "" {
			t.Errorf("a script reads the cookie: %q", got)
		}
	}
	m.run("upgrade")
	page, _, _ := strings.Cut(address, "?")
	b.open(page)
	b.eventuallySees("main", "subdomain1")
}

// multisite is a running supervisor, and a desktop session of its own.
type multisite struct {
	t       *testing.T
	dir     string // of the sites.toml; desktop/ is the session's
	program string
}

// start builds multisite, runs it, and ends it with the test.
func start(t *testing.T, sites string) *multisite {
	t.Helper()
	dir := t.TempDir()
	m := &multisite{t: t, dir: dir, program: filepath.Join(dir, "multisite")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", m.program, "./cmd/multisite")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	m.write("sites.toml", sites, 0o600)
	m.write("desktop/xdg-open", "#!/bin/sh\necho \"$1\" > '"+dir+"/desktop/opened'\n", 0o700)
	m.run("up", "-d")
	t.Cleanup(func() { m.run("down") })
	return m
}

func (m *multisite) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// run runs a command of multisite within the desktop session and returns its output.
func (m *multisite) run(args ...string) string {
	m.t.Helper()
	desktop := filepath.Join(m.dir, "desktop")
	cmd := exec.Command(m.program, args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+desktop, "DISPLAY=:0", "PATH="+desktop+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("multisite %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// opened returns the path of the file that the desktop was asked to open.
func (m *multisite) opened() string {
	m.t.Helper()
	path, err := os.ReadFile(filepath.Join(m.dir, "desktop", "opened"))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(string(path))
}
