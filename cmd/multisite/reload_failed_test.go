package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

// failedSites are a site whose reload fails, and one that this could affect.
const failedSites = pythonSites + `
processes = 2
home = "code"
[site.edited]
server_name = "edited.example.com"
settings = "edited_settings"
python_path = ["${DJANGO}"]
startup_timeout = "40s"
[site.other]
server_name = "other.example.com"
settings = "edited_settings"
python_path = ["${DJANGO}"]
`

// TestReload_Failed: a site that is reported as not changed is as it was, and status shows
// the failure until a reload or restart succeeds.
func TestReload_Failed(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, failedSites))
	r.say("one")
	r.start()
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"a mistake in sites.toml is shown by status", failedMistake},
		{"keys that apply live wait for the trial", failedLiveKeys},
		{"the trial has the keys of the new file", failedStartupTimeout},
		{"a failed restart is shown, too", failedRestart},
		{"an error halfway leaves nothing", failedHalfway},
	})
}

// breakCode makes the sites' settings raise an exception. mend repairs them.
func (r *running) breakCode() (mend func()) {
	r.t.Helper()
	path := filepath.Join(r.dir, "code", "edited_settings.py")
	good, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	writeFile(r.t, path, string(good)+"import no_such_thing\n")
	return func() { writeFile(r.t, path, string(good)) }
}

// wantFailure runs a command that must fail and print each of want.
func (r *running) wantFailure(args []string, want ...string) {
	r.t.Helper()
	got := r.multisite(args...)
	if got.code != 1 {
		r.t.Errorf("%v: exit %d, want 1", args, got.code)
	}
	for _, line := range want {
		if !strings.Contains(got.stderr, line) {
			r.t.Errorf("%v does not say %q:\n%s", args, line, got.stderr)
		}
	}
}

func failedMistake(t *testing.T, r *running) {
	r.rewrite("startup_timeout", "startup_timeuot")
	r.wantFailure([]string{"reload"}, "startup_timeuot")
	shown := regexp.MustCompile(`(?s)\nfailed +reload at \d\d:\d\d, which has changed\s+nothing: .*startup_timeuot`)
	if text := r.must("status"); !shown.MatchString(text) {
		t.Errorf("status does not show it:\n%s", text)
	}
	r.rewrite("startup_timeuot", "startup_timeout")
	r.wantReload("nothing has changed\n")
	if f := r.status().Supervisor.Failed; f != nil {
		t.Errorf("status still shows %+v", f)
	}
}

func failedLiveKeys(t *testing.T, r *running) {
	before := r.pids("edited")
	const names = `server_name = "edited.example.com"`
	r.rewrite(names, names+"\nserver_alias = [\"alias.example.com\"]\nprocesses = 3")
	mend := r.breakCode()
	r.wantFailure([]string{"reload"}, "edited: not changed, its old workers serve on\n", "other: not changed, its old workers serve on\n")
	if a := r.get("alias.example.com", "/"); a.status != 421 {
		t.Errorf("server_alias was applied: status %d", a.status)
	}
	r.wantSame("edited", before)
	s := r.site("edited")
	if s.Processes.Desired != 2 || s.Generation != 1 {
		t.Errorf("%d processes of generation %d, want 2 of 1", s.Processes.Desired, s.Generation)
	}
	if f := s.Failed; f == nil || f.What != "reload" || f.At.IsZero() || f.Error != "ModuleNotFoundError: No module named 'no_such_thing'" {
		t.Errorf("status --json shows %+v", f)
	}
	shown := regexp.MustCompile(`(?m)^edited: reload at \d\d:\d\d failed: ModuleNotFoundError: No module named 'no_such_thing'$`)
	if text := r.must("status", "edited"); !shown.MatchString(text) {
		t.Errorf("status does not show it:\n%s", text)
	}
	short := regexp.MustCompile(`(?m)^edited: reload at \d\d:\d\d failed: ModuleNotFoundError: No module named 'no_\w*…$`)
	if text := r.must("status"); !short.MatchString(text) {
		t.Errorf("status of all sites does not show it:\n%s", text)
	}
	mend()
	out := r.must("reload")
	if !strings.Contains(out, "edited: new workers") || r.site("edited").Processes.Desired != 3 || r.get("alias.example.com", "/").body != "one" {
		t.Errorf("mended, reload printed %q, and server_alias or processes is not applied", out)
	}
	r.wantNoFailure()
}

// wantNoFailure checks that status shows no failed reload.
func (r *running) wantNoFailure() {
	r.t.Helper()
	var st status.Status
	if err := json.Unmarshal([]byte(r.must("status", "--json")), &st); err != nil {
		r.t.Fatal(err)
	}
	for _, s := range st.Sites {
		if s.Failed != nil || st.Supervisor.Failed != nil {
			r.t.Errorf("status still shows %+v, %+v", s.Failed, st.Supervisor.Failed)
		}
	}
}

// failedStartupTimeout: the trial uses the new startup_timeout.
func failedStartupTimeout(t *testing.T, r *running) {
	r.rewrite(`startup_timeout = "40s"`, `startup_timeout = "1ms"`)
	r.wantReload("edited: startup_timeout changed, no worker restarted\n")
	r.rewrite(`startup_timeout = "1ms"`, `startup_timeout = "41s"`)
	r.say("two")
	if out := r.must("reload", "edited"); !strings.HasPrefix(out, "edited: new workers, generation ") || r.page() != "two" {
		t.Errorf("reload printed %q", out)
	}
}

func failedRestart(t *testing.T, r *running) {
	mend := r.breakCode()
	r.wantFailure([]string{"restart", "edited"}, "ModuleNotFoundError: No module named 'no_such_thing'")
	if f := r.site("edited").Failed; f == nil || f.What != "restart" {
		t.Errorf("status --json shows %+v", f)
	}
	mend()
	r.must("restart", "edited")
	r.must("reload")
	r.wantNoFailure()
}

// failedHalfway: the socket directory of the second site cannot be created.
func failedHalfway(t *testing.T, r *running) {
	before, had, pids := r.runDirs(), len(leftProcesses(t, r.dir)), r.pids("edited")
	r.say("three")
	var n int
	if _, err := fmt.Sscanf(filepath.Base(before[len(before)-1]), "other.%d", &n); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(r.dir, ".multisite", "run", fmt.Sprintf("other.%d", n+1)), "in the way")
	r.rewrite("[site.other]", "[site.added]\nserver_name = \"added.example.com\"\nsettings = \"edited_settings\"\npython_path = [\"${DJANGO}\"]\n[site.other]")
	r.wantFailure([]string{"reload"}, "site other: mkdir ", "not a directory")
	if now := r.runDirs(); !slices.Equal(now, before) {
		t.Errorf("directories %q, were %q", now, before)
	}
	if now := len(leftProcesses(t, r.dir)); now != had || len(r.status().Sites) != 2 {
		t.Errorf("%d processes, %d sites; there were %d and 2", now, len(r.status().Sites), had)
	}
	r.wantSame("edited", pids)
	if out := r.must("reload"); strings.Count(out, "new workers") != 2 || !strings.Contains(out, "added: added\n") || r.page() != "three" {
		t.Errorf("afterwards reload printed %q", out)
	}
	r.wantNoFailure()
}

// runDirs returns the socket directories.
func (r *running) runDirs() []string {
	r.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(r.dir, ".multisite", "run", "*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return dirs
}
