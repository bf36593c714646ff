package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
)

const userSite = `
[site.shop]
server_name = "shop.example.com"
wsgi = "whoami:application"
home = "code"
python_home = "${PYTHON}"
user = "4711"
group = "4712"
umask = "027"
env_file = "secret.env"
`

// TestCheck_AsAnotherUser loads the code as the site's user does.
func TestCheck_AsAnotherUser(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, userSite)
	code := filepath.Join(dir, "code")
	if got := runIn(t, dir, "check"); got.code != 0 || got.stderr != "" {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	chmod(t, filepath.Join(code, "whoami.py"), 0o666)
	want := "multisite: warning: site shop runs as 4711, and everybody may write " + filepath.Join(code, "whoami.py") + "\n"
	if got := runIn(t, dir, "check"); got.code != 0 || got.stderr != want {
		t.Errorf("exit %d: %swant %s", got.code, got.stderr, want)
	}
	chmod(t, filepath.Join(code, "whoami.py"), 0o600)
	if got := runIn(t, dir, "check"); got.code == 0 || !strings.Contains(got.stderr, "PermissionError") {
		t.Errorf("the code is closed: exit %d: %s", got.code, got.stderr)
	}
	chmod(t, code, 0o700)
	want = "multisite: error: sites.toml:5: site.shop.home: user \"4711\" may not enter " + code + "\n"
	for _, args := range [][]string{{"check"}, {"up"}} {
		if got := runIn(t, dir, args...); got.code != 2 || got.stderr != want {
			t.Errorf("%s: exit %d: %swant %s", args, got.code, got.stderr, want)
		}
	}
}

// TestCheck_NeedsRootForAnotherUser runs multisite itself as a user.
func TestCheck_NeedsRootForAnotherUser(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, userSite)
	chmod(t, filepath.Join(dir, "sites.toml"), 0o644)
	chmod(t, filepath.Join(dir, "secret.env"), 0o644)
	for _, tt := range []struct {
		uid, gid int
		command  string
		code     int
		stderr   string
	}{
		{4811, 4812, "check", 2, "multisite: error: sites.toml:7: site.shop.user: user \"4711\" needs multisite to run as root\n" +
			"multisite: hint: start it as root, or as that user; or leave user out\n"},
		{4811, 4812, "up", 2, "multisite: error: sites.toml:7: site.shop.user: user \"4711\" needs multisite to run as root\n" +
			"multisite: hint: start it as root, or as that user; or leave user out\n"},
		{4711, 4712, "check", 0, ""},
	} {
		a := account.Account{UID: tt.uid, GID: tt.gid}
		var stderr bytes.Buffer
		cmd := command(t, dir, programForAll(t, dir), tt.command)
		cmd.Stderr, cmd.SysProcAttr = &stderr, &syscall.SysProcAttr{Credential: a.Credential()}
		_ = cmd.Run() // its exit code is checked by the caller
		if cmd.ProcessState.ExitCode() != tt.code || stderr.String() != tt.stderr {
			t.Errorf("%s as %d: exit %d: %s", tt.command, tt.uid, cmd.ProcessState.ExitCode(), stderr.String())
		}
	}
}

// TestManage_AsAnotherUser runs a management command as the site's user, with its
// environment, which does not appear on the command line.
func TestManage_AsAnotherUser(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, userSite+"settings = \"shop_settings\"\n")
	writeManagement(t, dir, "import json, whoami\ndef execute_from_command_line(argv):\n"+
		"    print(json.dumps(dict(whoami.whoami(), argv=argv, cmdline=open('/proc/self/cmdline').read())))\n")
	cmd := command(t, dir, "multisite", "manage", "shop", "migrate")
	cmd.Env = append(cmd.Env, "DJANGO_SUPERUSER_PASSWORD=typed", "ROOTS_SECRET=root-secret", "TERM=vt100")
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		who
		Argv    []string `json:"argv"`
		Cmdline string   `json:"cmdline"`
	}
	if err := json.Unmarshal(stdout, &told); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if told.Env["DJANGO_SUPERUSER_PASSWORD"] != "typed" || told.Env["TERM"] != "vt100" || told.Env["ROOTS_SECRET"] != "" {
		t.Errorf("it has %v from the caller's environment", told.Env)
	}
	if told.UIDs[2] != 4711 || told.GIDs[2] != 4712 || len(told.Groups) != 0 || told.Umask != "0027" || told.Home != "/" || told.Env["SECRET"] != "forked-secret" {
		t.Errorf("it is %+v", told)
	}
	if told.Argv[1] != "migrate" || strings.Contains(told.Cmdline, "secret") {
		t.Errorf("its command line is %q", told.Cmdline)
	}
}

// writeManagement writes a package that the site takes for Django.
func writeManagement(t *testing.T, dir, management string) {
	t.Helper()
	for name, text := range map[string]string{"django/__init__.py": "", "django/core/__init__.py": "", "django/core/management/__init__.py": management} {
		path := filepath.Join(dir, "code", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestManage_OfAnotherUserHasNoHoldOnTheTerminal: a command of another user can read and
// write the terminal, but cannot put input there that root's shell would run.
func TestManage_OfAnotherUserHasNoHoldOnTheTerminal(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, userSite+"settings = \"shop_settings\"\n")
	writeManagement(t, dir, `
import os, sys
def execute_from_command_line(argv):
    try:
        os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        print("a terminal" if sys.stdin.isatty() else "none", error.strerror, input("name: "))
`)
	for name, args := range map[string][]string{
		"of a shell":               {"sh", "-c", "multisite manage shop ask; exit $?"},
		"as leader of its session": {"multisite", "manage", "shop", "ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := terminal(t)
			cmd := command(t, dir, args[0], args[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, far
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			far.Close()
			if _, err := io.WriteString(near, "anna\n"); err != nil {
				t.Fatal(err)
			}
			said, _ := io.ReadAll(near) // EIO when the other end is closed
			if err := cmd.Wait(); err != nil || !strings.Contains(string(said), "a terminal No such device or address anna") {
				t.Errorf("%v: it said %q", err, said)
			}
		})
	}
}

// terminal returns both ends of a new terminal.
func terminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// programForAll returns a copy of multisite that every user may run.
func programForAll(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "multisite")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	found, err := exec.LookPath("multisite")
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(found)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
