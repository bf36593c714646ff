package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

// TestStateDir_UsersMayPassThroughIt: whichever command creates the state directory, other
// users may pass through it; otherwise the next command would refuse it.
func TestStateDir_UsersMayPassThroughIt(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][][]string{
		"up":     {{"up", "-d"}},
		"manage": {{"manage", "go", "migrate"}, {"up", "-d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newUsersDir(t, "listen = \"127.0.0.1:0\"\n"+userSite+"[site.go]\nserver_name = \"go.example.com\"\nsettings = \"builtin:subdomain1\"\n")
			t.Cleanup(func() {
				if got := runIn(t, dir, "down"); got.code != 0 {
					t.Errorf("down: exit %d: %s", got.code, got.stderr)
				}
				checkNothingLeft(t, dir)
			})
			for _, args := range commands {
				if got := runIn(t, dir, args...); got.code != 0 {
					t.Errorf("%s: exit %d: %s", args, got.code, got.stderr)
				}
			}
			if got := runIn(t, dir, "status", "shop"); !strings.Contains(got.stdout, "running 1/1") {
				t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

// TestStateDir_OfSomebodyElseIsRefused: a user who may write there could decide what the
// supervisor runs.
func TestStateDir_OfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: nothing can be given to somebody else")
	}
	give := func(t *testing.T, path string) {
		t.Helper()
		if err := os.Lchown(path, 4711, 4712); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, state string)
		want    string // STATE stands for the directory
	}{
		{"a link", func(t *testing.T, state string) { symlink(t, t.TempDir(), state) }, "STATE is a symbolic link"},
		{"a link to nothing", func(t *testing.T, state string) { symlink(t, state+".not", state) }, "STATE is a symbolic link"},
		{"another user's", func(t *testing.T, state string) { mkdir(t, state, 0o711); give(t, state) }, "STATE belongs to user 4711, not to root"},
		{"open to all", func(t *testing.T, state string) { mkdir(t, state, 0o777) }, "everybody may write in STATE"},
		{"open to all, sticky", func(t *testing.T, state string) { mkdir(t, state, 0o777|os.ModeSticky) }, "everybody may write in STATE"},
		{"run is another user's", func(t *testing.T, state string) {
			mkdir(t, filepath.Join(state, "run"), 0o700)
			give(t, filepath.Join(state, "run"))
		}, "STATE/run belongs to user 4711, not to root"},
		{"logs is a link", func(t *testing.T, state string) {
			mkdir(t, state, 0o711)
			symlink(t, t.TempDir(), filepath.Join(state, "logs"))
		}, "STATE/logs is a symbolic link"},
		{"its parent is open to all", func(t *testing.T, state string) { mkdir(t, filepath.Dir(state), 0o777) }, "everybody may rename what is in PARENT"},
		{"so is the one above", func(t *testing.T, state string) {
			mkdir(t, state, 0o711)
			chmod(t, filepath.Dir(filepath.Dir(state)), 0o777)
		}, "everybody may rename what is in ABOVE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			above := newDir(t, "state_dir = \"parent/state\"\n"+notifiedSites)
			state := filepath.Join(above, "parent", "state")
			test.prepare(t, state)
			want := strings.NewReplacer("STATE", state, "PARENT", filepath.Dir(state), "ABOVE", above).Replace(test.want)
			want = "multisite: error: state directory " + state + " refused: " + want + "\n"
			for _, args := range [][]string{{"up", "-d"}, {"manage", "subdomain1", "migrate"}} {
				got := runIn(t, above, args...)
				if args[0] == "up" && got.code == 0 {
					runIn(t, above, "down")
				}
				if told, _, _ := strings.Cut(got.stderr, "multisite: hint: "); got.code != 1 || told != want || got.stdout != "" {
					t.Errorf("%s: exit %d: %s%swant %s", args, got.code, got.stdout, got.stderr, want)
				}
			}
		})
	}
}

// TestStateDir_InAnOpenVolume: an ordinary user cannot change the mode of a volume that is
// open to all, as the volumes of containers are.
func TestStateDir_InAnOpenVolume(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, "listen = \"127.0.0.1:0\"\nstate_dir = \"volume/state\"\n"+userSite)
	chmod(t, filepath.Join(dir, "sites.toml"), 0o644)
	chmod(t, filepath.Join(dir, "secret.env"), 0o644)
	mkdir(t, filepath.Join(dir, "volume"), 0o777)
	a := account.Account{UID: 4711, GID: 4712}
	program := programForAll(t, dir)
	for _, args := range [][]string{{"up", "-d"}, {"down"}} {
		cmd := command(t, dir, program, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.Credential()}
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", args, err, said)
		}
	}
}

// TestLogDir: logs are written to log_dir, and read there when nothing runs. A directory of
// another user is refused, too.
func TestLogDir(t *testing.T) {
	t.Parallel()
	r := up(t, "log_dir = \"var/log\"\n"+notifiedSites)
	dir := filepath.Join(r.dir, "var", "log")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want a directory of 0700", info, err)
	}
	if exists(filepath.Join(r.dir, ".multisite", "logs")) {
		t.Error("there are logs in the state directory")
	}
	r.edit(t, `log_dir = "var/log"`, `log_dir = "var/other"`)
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, "a change of log_dir needs a new start") {
		t.Errorf("reload: exit %d: %s", got.code, got.stderr)
	}
	r.edit(t, `log_dir = "var/other"`, `log_dir = "var/log"`)
	r.must("down")
	<-r.end.ch
	if got := r.must("logs", "subdomain1"); !strings.Contains(got, `msg="worker ready"`) {
		t.Errorf("the logs say %q", got)
	}
	chmod(t, dir, 0o777)
	want := "multisite: error: log directory " + dir + " refused: everybody may write in " + dir + "\nmultisite: hint: chmod o-w " + dir + "\n"
	if got := r.multisite("up", "-d"); got.code != 1 || got.stderr != want {
		t.Errorf("exit %d: %swant %s", got.code, got.stderr, want)
	}
	chmod(t, dir, 0o700)
	r.out, r.log = &screen{}, &screen{}
	r.start()
}

// TestStateDir_OfRootIsTaken: a user may use a directory of root in which he may write, as
// a package creates it.
func TestStateDir_OfRootIsTaken(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, "state_dir = \"state\"\n"+notifiedSites)
	state := filepath.Join(dir, "state")
	mkdir(t, state, 0o775)
	if err := os.Chown(state, 0, 4712); err != nil {
		t.Fatal(err)
	}
	chmod(t, filepath.Join(dir, "sites.toml"), 0o644)
	cmd := command(t, dir, programForAll(t, dir), "manage", "subdomain1", "migrate")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4712}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// mkdir creates a directory with this mode, whatever the umask is.
func mkdir(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	chmod(t, path, mode)
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
