package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reloadSites is a site whose code the test edits, and one that must not be affected.
const reloadSites = pythonSites + `
processes = 2
[site.edited]
server_name = "edited.example.com"
settings = "edited_settings"
home = "code"
python_path = ["${DJANGO}"]
` + subdomain1 + `home = "${DJANGO}"
`

// TestReload changes one thing after another in a running supervisor.
func TestReload(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, reloadSites))
	r.say("one")
	r.start()
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"nothing has changed", reloadNothing},
		{"new code is served", reloadCode},
		{"live keys restart no worker", reloadLiveKeys},
		{"another environment restarts one site", reloadEnvironment},
		{"bad code leaves the old", reloadBadCode},
		{"interrupted, it leaves the old", reloadInterrupted},
		{"a mistake in sites.toml changes nothing", reloadMistake},
		{"a site is added, and removed", reloadSitesOfFile},
		{"SIGHUP", reloadHangup},
		{"SIGHUP with mistakes leaves the old", reloadHangupMistakes},
		{"one site by name", reloadByName},
		{"new code of the same time is served", reloadSameTime},
	})
}

// say changes the code of the site edited so that its page is text.
func (r *running) say(text string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, "code")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	writeEdited(r.t, dir, text)
}

// page returns the page of the site edited.
func (r *running) page() string {
	r.t.Helper()
	return r.get("edited.example.com", "/").body
}

// wantReload reloads and compares the output.
func (r *running) wantReload(want string, args ...string) {
	r.t.Helper()
	if got := r.must(append([]string{"reload"}, args...)...); got != want {
		r.t.Errorf("reload printed:\n%s\nwant:\n%s", got, want)
	}
}

// rewrite changes sites.toml.
func (r *running) rewrite(old, now string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "sites.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		r.t.Fatalf("sites.toml has no %q", old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// wantSame checks that the workers of a site are the processes that they were.
func (r *running) wantSame(site string, before map[int]bool) {
	r.t.Helper()
	if now := r.pids(site); !maps.Equal(now, before) {
		r.t.Errorf("site %s: workers %v, were %v", site, now, before)
	}
}

func reloadNothing(t *testing.T, r *running) {
	edited, other := r.pids("edited"), r.pids("subdomain1")
	r.wantReload("nothing has changed\n")
	r.wantSame("edited", edited)
	r.wantSame("subdomain1", other)
}

// reloadCode: three texts of the same length, one right after the other.
func reloadCode(t *testing.T, r *running) {
	other := r.pids("subdomain1")
	for i, text := range []string{"two", "six", "ten"} {
		r.say(text)
		r.wantReload("edited: new workers, generation " + string(rune('2'+i)) + " (code changed)\n")
		for range 4 {
			if got := r.page(); got != text {
				t.Fatalf("got the page %q, want %q", got, text)
			}
		}
	}
	r.wantSame("subdomain1", other)
}

// reloadSameTime: texts of the same length in files with the same modification time.
func reloadSameTime(t *testing.T, r *running) {
	r.say("ten")
	for _, text := range []string{"two", "six", "ten"} {
		r.say(text)
		for _, name := range []string{"edited_urls.py", "edited_settings.py"} {
			if err := os.Chtimes(filepath.Join(r.dir, "code", name), time.Time{}, time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if out := r.must("reload"); !strings.HasSuffix(out, " (code changed)\n") || r.page() != text {
			t.Fatalf("reload printed %q, and the page is %q, want %q", out, r.page(), text)
		}
	}
}

func reloadLiveKeys(t *testing.T, r *running) {
	edited, other := r.pids("edited"), r.pids("subdomain1")
	r.rewrite("[site.edited]\n", "[site.edited]\nserver_alias = [\"alias.example.com\"]\nqueue_timeout = \"7s\"\nprocesses = 3\n")
	out := r.must("reload")
	for _, key := range []string{"server_alias", "queue_timeout", "processes"} {
		if !strings.Contains(out, key) {
			t.Errorf("reload does not name %s: %q", key, out)
		}
	}
	if !strings.HasSuffix(out, " changed, no worker restarted\n") {
		t.Errorf("reload printed %q", out)
	}
	now := r.pids("edited")
	for pid := range edited {
		if !now[pid] {
			t.Errorf("worker %d is gone", pid)
		}
	}
	if len(now) != 3 {
		t.Errorf("%d workers, want 3", len(now))
	}
	if a := r.get("alias.example.com", "/"); a.status != 200 || a.body != "ten" {
		t.Errorf("the alias: status %d, %q", a.status, a.body)
	}
	r.wantSame("subdomain1", other)
}

func reloadEnvironment(t *testing.T, r *running) {
	before, other := r.pids("edited"), r.pids("subdomain1")
	r.rewrite("[site.edited]\n", "[site.edited]\nenv = { GREETING = \"hello\" }\n")
	out := r.must("reload")
	if !strings.HasPrefix(out, "edited: new workers, generation 5 (") {
		t.Errorf("reload printed %q", out)
	}
	for pid := range r.pids("edited") {
		if before[pid] {
			t.Errorf("worker %d has the old environment", pid)
		}
	}
	if a := r.get("edited.example.com", "/greeting/"); a.body != "hello" {
		t.Errorf("the application sees GREETING = %q", a.body)
	}
	r.wantSame("subdomain1", other)
}

func reloadBadCode(t *testing.T, r *running) {
	before := r.pids("edited")
	path := filepath.Join(r.dir, "code", "edited_settings.py")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(good, "import no_such_thing\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.multisite("reload")
	if got.code != 1 || got.stdout != "" {
		t.Errorf("exit %d, printed %q", got.code, got.stdout)
	}
	for _, want := range []string{": site edited: ModuleNotFoundError: No module named 'no_such_thing'\n", "edited: not changed, its old workers serve on\n", "edited_settings.py\", line 3"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("stderr has no %q:\n%s", want, got.stderr)
		}
	}
	r.wantSame("edited", before)
	if s := r.site("edited"); s.Generation != 5 || s.State != "running" || r.page() != "ten" {
		t.Errorf("generation %d is %s and says %q", s.Generation, s.State, r.page())
	}
	kill(t, r.site("edited").Workers[0].PID) // its successor runs the old code, which the zygote has loaded
	eventually(t, "the worker to be replaced", func() bool {
		s := r.site("edited")
		return s.Restarts == 1 && s.State == "running"
	})
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	out := r.must("reload")
	if !strings.HasPrefix(out, "edited: new workers, generation ") || r.page() != "ten" {
		t.Errorf("repaired: %q, and the page is %q", out, r.page())
	}
}

// reloadInterrupted: Ctrl-C ends a reload whose new code hangs, and nothing has changed.
func reloadInterrupted(t *testing.T, r *running) {
	before := r.pids("edited")
	loading := filepath.Join(r.dir, "loading")
	path := filepath.Join(r.dir, "code", "edited_settings.py")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hang := fmt.Sprintf("import time\nopen(%q, 'w').close()\ntime.sleep(1000)\n", loading)
	if err := os.WriteFile(path, append(good, hang...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, r.dir, "multisite", "reload")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code to hang", func() bool { return exists(loading) })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the interrupted command succeeded")
	}
	eventually(t, "the worker on trial to be given up", func() bool { return !r.pids("edited")[0] }) // it has no pid yet
	r.wantSame("edited", before)
	if err := os.WriteFile(path, append(good, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out := r.must("reload"); !strings.HasPrefix(out, "edited: new workers, generation ") || r.page() != "ten" {
		t.Errorf("afterwards: %q, and the page is %q", out, r.page())
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("the next reload took %v", took)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func reloadMistake(t *testing.T, r *running) {
	edited, other := r.pids("edited"), r.pids("subdomain1")
	r.rewrite("queue_timeout", "queue_timeuot")
	got := r.multisite("reload")
	if got.code != 1 || !strings.Contains(got.stderr, `unknown key "site.edited.queue_timeuot"`) {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	if got := r.multisite("check"); got.code != 2 {
		t.Errorf("check: exit %d, want 2", got.code)
	}
	r.rewrite("queue_timeuot", "queue_timeout")
	r.wantSame("edited", edited)
	r.wantSame("subdomain1", other)
}

func reloadSitesOfFile(t *testing.T, r *running) {
	const added = "\n[site.added]\nserver_name = \"added.example.com\"\nsettings = \"subdomain2_settings\"\n"
	other := r.pids("subdomain1")
	r.rewrite("[site.edited]\n", added+"[site.edited]\n")
	r.wantReload("added: added\n")
	if a := r.get("added.example.com", "/hello/"); a.status != 200 || !strings.HasPrefix(a.body, "Hello from Subdomain Two") {
		t.Errorf("the new site: status %d, %s", a.status, a.body)
	}
	r.rewrite(added, "")
	r.wantReload("added: removed\n")
	if a := r.get("added.example.com", "/hello/"); a.status != 421 {
		t.Errorf("the removed site: status %d, want 421", a.status)
	}
	for _, c := range children(t, r.pid) {
		if strings.Contains(c.name, "added") {
			t.Errorf("process %d, %q in state %s, is left behind", c.pid, c.name, c.state)
		}
	}
	r.wantSame("subdomain1", other)
}

func reloadHangup(t *testing.T, r *running) {
	r.say("hup")
	if err := syscall.Kill(r.pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new code to be served", func() bool { return r.page() == "hup" })
	eventually(t, "the line in the log", func() bool { return strings.Contains(r.log.String(), `msg=reload change="edited: new workers`) })
}

func reloadHangupMistakes(t *testing.T, r *running) {
	edited, other := r.pids("edited"), r.pids("subdomain1")
	hangup := func(want string) {
		if err := syscall.Kill(r.pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		failed := regexp.MustCompile(`level=ERROR msg="reload failed" error=.*` + want)
		eventually(t, "the log to say "+want, func() bool { return failed.MatchString(r.log.String()) })
		r.wantSame("edited", edited)
		r.wantSame("subdomain1", other)
		if got := r.page(); got != "hup" {
			t.Errorf("the page is %q", got)
		}
	}
	r.rewrite("queue_timeout", "queue_timeuot")
	hangup(`unknown key \\"site.edited.queue_timeuot\\"`)
	r.rewrite("queue_timeuot", "queue_timeout")
	r.rewrite("GREETING", "OTHER")
	r.write(t, "code/edited_settings.py", "import nothing_of_this_name\n")
	hangup(`No module named 'nothing_of_this_name'`)
	r.rewrite("OTHER", "GREETING")
	r.say("hup")
	r.must("reload")
}

func reloadByName(t *testing.T, r *running) {
	before, other := r.pids("edited"), r.pids("subdomain1")
	r.wantReload("edited: nothing has changed; for new workers all the same: multisite restart edited\n", "edited")
	r.wantSame("edited", before)
	r.say("by name")
	r.wantReload("subdomain1: nothing has changed; for new workers all the same: multisite restart subdomain1\n", "subdomain1")
	r.wantSame("edited", before)
	start := time.Now()
	if out := r.must("reload", "edited"); !strings.HasSuffix(out, " (code changed)\n") || r.page() != "by name" {
		t.Errorf("reload edited printed %q, and the page is %q", out, r.page())
	}
	t.Logf("a reload of 3 workers: %v", time.Since(start))
	for pid := range r.pids("edited") {
		if before[pid] {
			t.Errorf("worker %d is an old one", pid)
		}
	}
	r.wantSame("subdomain1", other)
	if got := r.multisite("reload", "editd"); got.code != 2 || !strings.Contains(got.stderr, `did you mean "edited"?`) {
		t.Errorf("reload of an unknown site: exit %d, %s", got.code, got.stderr)
	}
}
