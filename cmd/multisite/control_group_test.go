package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// runAs runs one multisite command in a directory as another user.
func runAs(t *testing.T, dir string, uid, gid uint32, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command(t, dir, programForAll(t, dir), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	_ = cmd.Run() // its exit code is checked by the caller
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// TestControlGroup: a user without access learns who has it. A group that sites.toml names
// may do everything but choose the program of an upgrade; a reload adds and removes it.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newUsersDir(t, notifiedSites))
	state := filepath.Join(r.dir, ".multisite")
	chmod(t, filepath.Join(r.dir, "sites.toml"), 0o644)
	mkdir(t, state, 0o700) // as an older version may have created it
	member, stranger := func(args ...string) result { return runAs(t, r.dir, 4811, 4812, args...) }, func(args ...string) result { return runAs(t, r.dir, 4911, 4912, args...) }
	denied := func(whose string, got result, who, hint string) {
		t.Helper()
		want := "multisite: error: the supervisor of " + state + " runs as root; only " + who + " may use it\nmultisite: hint: " + hint + "\n"
		if got.code != 1 || got.stdout != "" || got.stderr != want {
			t.Errorf("%s: exit %d: %s%swant %s", whose, got.code, got.stdout, got.stderr, want)
		}
	}
	const rootAlone, nameOne = "root", `control_group = "NAME" in sites.toml lets the members of a group`
	const withGroup, logIn = "root and the members of group 4812", "log in again after you have become a member"

	r.start()
	defer r.finish()
	for _, args := range [][]string{{"status"}, {"down"}, {"logs"}, {"scale", "subdomain1", "2"}, {"reload"}, {"upgrade"}} {
		denied(args[0], member(args...), rootAlone, nameOne)
	}
	r.edit(t, `listen = "127.0.0.1:0"`, "listen = \"127.0.0.1:0\"\ncontrol_group = \"4812\"")
	if got := r.must("reload"); got != "control_group changed\n" {
		t.Errorf("reload: %q", got)
	}
	for range 2 { // the second time after an upgrade
		for _, args := range [][]string{{"status"}, {"logs"}, {"scale", "subdomain1", "2"}, {"restart", "subdomain2"}, {"reload"}} {
			if got := member(args...); got.code != 0 || got.stderr != "" {
				t.Errorf("a member's %s: exit %d: %s", args[0], got.code, got.stderr)
			}
		}
		denied("a stranger", stranger("status"), withGroup, logIn)
		if got := member("upgrade"); got.code != 1 || !strings.Contains(got.stderr, "only the user that runs the supervisor may name another program than ") {
			t.Errorf("a member's program: exit %d: %s%s", got.code, got.stdout, got.stderr)
		}
		for _, name := range []string{"logs", "run", "spool", "journal.db", "sites.db"} {
			if got := readAs(t, 4811, 4812, filepath.Join(state, name)); !strings.Contains(got, "Permission denied") {
				t.Errorf("a member reads %s: %s", name, got)
			}
		}
		r.upgrade()
	}
	r.edit(t, "control_group = \"4812\"\n", "")
	r.must("reload")
	denied("a member of before", member("status"), rootAlone, nameOne)
}

// readAs returns what cat or ls prints to another user.
func readAs(t *testing.T, uid, gid uint32, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "/", "sh", "-c", `if [ -d "$1" ]; then ls "$1"; else cat "$1"; fi`, "sh", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("%s can be read", path)
	}
	return string(out)
}
