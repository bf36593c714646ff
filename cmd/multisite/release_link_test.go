package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

// releaseSites are the sites of each release directory: one whose workers are forked from
// a zygote, and one whose workers load the code themselves.
const releaseSites = `
listen = "127.0.0.1:0"
STATE
[defaults]
python_home = "${VENV}"
wsgi = "page:application"
shutdown_timeout = "1s"
[site.forked]
server_name = "forked.example.com"
processes = 2
[site.fresh]
server_name = "fresh.example.com"
preload = false
`

// releaseApp answers with its release, as it was when it was loaded and by its directory.
const releaseApp = `
import os
RELEASE = "NAME"

def application(environ, start_response):
    start_response("200 OK", [])
    return [("%s in %s" % (RELEASE, os.path.basename(os.path.dirname(__file__)))).encode()]
`

// deploy is a directory with release directories and a link, current, to one of them. It
// holds where and how commands are run.
type deploy struct {
	*running
	cwd  string
	flag []string // -c

	stateDir string // of the supervisor, as it was at the start
}

// TestReleaseLink: however the supervisor was started, a reload serves the release that the
// link leads to now, with all workers of a site, and the release that the supervisor was
// started from may be removed.
func TestReleaseLink(t *testing.T) {
	t.Parallel()
	for _, start := range []struct {
		name      string
		cwd, flag string // below the directory of the releases; "" for no -c
		state     string
	}{
		{"in the link", "current", "", ""},
		{"in the link, state outside", "current", "", `state_dir = "../../state"`},
		{"in the link, by a relative name", "current", "./sites.toml", ""},
		{"in the link, by an absolute name", "current", "/current/sites.toml", ""},
		{"elsewhere, by a relative name", "", "current/sites.toml", ""},
		{"elsewhere, by a relative name, state outside", "", "current/sites.toml", `state_dir = "../../state"`},
		{"elsewhere, by an absolute name", "", "/current/sites.toml", ""},
		{"elsewhere, by an absolute name, state outside", "", "/current/sites.toml", `state_dir = "../../state"`},
	} {
		t.Run(start.name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			d := &deploy{running: &running{t: t, dir: base, log: &screen{}}, cwd: filepath.Join(base, start.cwd)}
			state := strings.Replace(start.state, "../..", base, 1)
			for _, name := range []string{"r1", "r2", "r3", "r4"} {
				d.write(t, "releases/"+name+"/sites.toml", strings.Replace(releaseSites, "STATE", state, 1))
				d.write(t, "releases/"+name+"/page.py", strings.Replace(releaseApp, "NAME", name, 1))
			}
			d.stateDir = filepath.Join(base, "releases/r1/.multisite")
			if state != "" {
				d.stateDir = filepath.Join(base, "state")
			}
			if strings.HasPrefix(start.flag, "/") {
				start.flag = base + start.flag
			}
			if start.flag != "" {
				d.flag = []string{"-c", start.flag}
			}
			followLink(t, d)
		})
	}
}

func followLink(t *testing.T, d *deploy) {
	d.link("r1")
	d.command("up", "-d")
	t.Cleanup(d.down)
	st := d.ask()
	d.pid, d.addr = st.Supervisor.PID, st.Supervisor.Listen[0]
	d.wantRelease("r1")

	d.link("r2") // the old release runs until a reload
	d.killWorkers()
	d.wantRelease("r1")
	if out := d.command("reload"); strings.Count(out, "new workers, generation 2 (code changed)") != 2 {
		t.Errorf("reload printed %q", out)
	}
	d.wantRelease("r2")

	d.link("r3")
	if err := syscall.Kill(d.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SIGHUP to reload", func() bool {
		for _, s := range d.ask().Sites {
			if s.Generation != 3 || s.State != "running" {
				return false
			}
		}
		return true
	})
	d.wantRelease("r3")

	for _, old := range []string{"r1", "r2"} { // including the one that the supervisor was started from
		if err := os.RemoveAll(filepath.Join(d.dir, "releases", old)); err != nil {
			t.Fatal(err)
		}
	}
	d.wantRelease("r3")
	state := d.stateDir
	eventually(t, "the state directory to be created again", func() bool { return exists(filepath.Join(state, "spool")) })
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("the state directory: %v, %v; sites of other users pass through it", info, err)
	}
	d.killWorkers()
	d.wantRelease("r3")
	d.command("restart", "forked")
	d.command("restart", "fresh")
	d.wantRelease("r3")

	if out := d.command("upgrade"); !strings.HasPrefix(out, "process ") {
		t.Errorf("upgrade printed %q", out)
	}
	d.wantRelease("r3")
	d.killWorkers()
	d.wantRelease("r3")
	if out := d.command("reload"); out != "nothing has changed\n" {
		t.Errorf("reload printed %q", out)
	}

	d.link("r4")
	d.wantRelease("r3")
	if out := d.command("reload"); strings.Count(out, "new workers") != 2 {
		t.Errorf("reload printed %q", out)
	}
	d.wantRelease("r4")
	d.command("upgrade")
	d.wantRelease("r4")

	d.flag = []string{"-c", filepath.Join(d.dir, "releases", "r4", "sites.toml")} // another path of the same file
	if now := d.ask().Supervisor.PID; now != d.pid {
		t.Errorf("by another name status is of process %d, not of %d", now, d.pid)
	}
	if got := d.multisite("up", "-d"); got.code != 1 || !strings.Contains(got.stderr, "multisite already runs for ") {
		t.Errorf("a second one: exit %d\n%s", got.code, got.stderr)
	}
}

// link makes current lead to a release, atomically, as deployment tools do.
func (d *deploy) link(release string) {
	d.t.Helper()
	next := filepath.Join(d.dir, "next")
	if err := os.Symlink("releases/"+release, next); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(d.dir, "current")); err != nil {
		d.t.Fatal(err)
	}
}

// command runs a command that must succeed, as a person would who has changed to d.cwd now.
func (d *deploy) command(args ...string) string {
	d.t.Helper()
	got := d.multisite(args...)
	if got.code != 0 {
		d.t.Fatalf("%v: exit %d\n%s%s", args, got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

func (d *deploy) multisite(args ...string) result {
	d.t.Helper()
	var stdout, stderr strings.Builder
	cmd := command(d.t, d.dir, "multisite", append(args, d.flag...)...)
	cmd.Dir, cmd.Env = d.cwd, append(cmd.Env, "PWD="+d.cwd)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (d *deploy) ask() (st status.Status) {
	d.t.Helper()
	got := d.multisite("status", "--json")
	if got.code == 3 { // workers that were killed are not replaced yet
		got.code = 0
	}
	if err := json.Unmarshal([]byte(got.stdout), &st); got.code != 0 || err != nil {
		d.t.Fatalf("status: exit %d, %v\n%s", got.code, err, got.stderr)
	}
	return st
}

// wantRelease checks that every worker serves a release.
func (d *deploy) wantRelease(want string) {
	d.t.Helper()
	for _, site := range []string{"forked", "fresh"} {
		for range 4 {
			if a := d.askSite(site, "/"); a.body != want+" in "+want {
				d.t.Fatalf("site %s answers %d %q, want release %s", site, a.status, a.body, want)
			}
		}
	}
}

// killWorkers kills all workers and waits for new ones.
func (d *deploy) killWorkers() {
	d.t.Helper()
	old := map[int]bool{}
	for _, s := range d.ask().Sites {
		for _, w := range s.Workers {
			if w.State == "draining" || w.PID == 0 { // a reload retires it: it may exit before it is killed
				continue
			}
			old[w.PID] = true
			kill(d.t, w.PID)
		}
	}
	eventually(d.t, "other workers", func() bool {
		for _, s := range d.ask().Sites {
			for _, w := range s.Workers {
				if old[w.PID] || s.State != "running" {
					return false
				}
			}
		}
		return true
	})
}

func (d *deploy) down() {
	d.command("down")
	if left := leftProcesses(d.t, d.dir); len(left) > 0 {
		d.t.Errorf("processes left behind:\n%s", strings.Join(left, "\n"))
	}
	if d.t.Failed() {
		logs, _ := exec.Command("sh", "-c", "tail -n 60 "+d.dir+"/*/*/.multisite/logs/*.log "+d.dir+"/state/logs/*.log").CombinedOutput()
		d.t.Logf("%s", logs)
	}
}
