package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

// userSites are sites of three users with every kind of worker: forked from the zygote of
// its site, forked from that of a project, a process that loads the code itself, and a Go
// program.
const userSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${PYTHON}"
home = "code"
[site.forked]
server_name = "forked.example.com"
wsgi = "whoami:application"
user = "4711"
group = "4712"
supplementary_groups = ["4714", "4713"]
processes = 2
umask = "027"
env_file = "secret.env"
static = { "/static/" = "public" }
[site.forked.service.helper]
command = ["sh", "-c", "umask; id -u; id -G; echo helper of $USER; sleep 1000 & exec sleep 1000"]
[site.single]
server_name = "single.example.com"
wsgi = "whoami:application"
user = "4711"
group = "4712"
processes = 1
umask = "007"
lang = "C"
locale = "xx_XX.UTF-8"
[site.beside]
server_name = "beside.example.com"
wsgi = "whoami:application"
user = "4711"
group = "4712"
supplementary_groups = ["4713", "4714"]
umask = "017"
[site.plain]
server_name = "plain.example.com"
wsgi = "whoami:application"
user = "nobody"
preload = false
umask = "077"
env = { SECRET = "plain-secret", HOME = "/elsewhere" }
[site.program]
server_name = "program.example.com"
app = "goapp"
user = "4811"
group = "4812"
umask = "026"
env = { SECRET = "program-secret" }
`

const secretEnv = "# only root may read this file\nSECRET=\"forked-secret\"\n"

// who describes the process of a site, as the site reports it.
type who struct {
	PID    int               `json:"pid"`
	UIDs   []int             `json:"uids"`
	GIDs   []int             `json:"gids"`
	Groups []int             `json:"groups"`
	Umask  string            `json:"umask"`
	Home   string            `json:"home"`
	Env    map[string]string `json:"env"`
	Tried  map[string]string `json:"tried"`
}

func TestUsers(t *testing.T) {
	t.Parallel()
	r := upUsers(t)
	t.Cleanup(r.finish)
	r.parts(t, []part{
		{"each site is its user", eachIsItsUser},
		{"a service is its site's user", serviceIsItsUser},
		{"sites of one user share what is learned", sameUserShares},
		{"no site reaches another", noSiteReachesAnother},
		{"the front door reads as the site's user", frontDoorReadsAsUser},
		{"secrets are told nowhere", secretsAreToldNowhere},
		{"another user is new workers", anotherUserIsNewWorkers},
	})
}

// TestUsers_DieWithTheSupervisor: no process of another user outlives a supervisor
// that was killed, and the next one starts at once.
func TestUsers_DieWithTheSupervisor(t *testing.T) {
	t.Parallel()
	r := upUsers(t)
	if n := len(leftProcesses(t, r.dir)); n < 8 {
		t.Errorf("%d processes run, want those of 6 workers and a service beside the supervisor", n)
	}
	t.Cleanup(r.finish)
	r.wantKilledClean(1)
	if got := r.whoami("forked.example.com"); got.UIDs[0] != 4711 {
		t.Errorf("after another start: %+v", got)
	}
}

// upUsers starts the sites above, in a directory that everybody may enter.
func upUsers(t *testing.T) *running {
	t.Helper()
	r := newRunning(t, newUsersDir(t, userSites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	return r
}

func newUsersDir(t *testing.T, sites string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: sites that run as other users are left out here")
	}
	python := pythonForAll(t)
	dir := newDir(t, strings.ReplaceAll(sites, "${PYTHON}", python))
	code, err := os.ReadFile("../../testdata/users/whoami.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "code"), filepath.Join(dir, "public")} {
		if err := os.MkdirAll(open, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(open, 0o755); err != nil { // it belongs to this test alone
			t.Fatal(err)
		}
	}
	for name, file := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"code/whoami.py": {string(code), 0o644}, "secret.env": {secretEnv, 0o600},
		"public/open.txt": {"for all", 0o644}, "public/closed.txt": {"for root", 0o600},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(file.text), file.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, file.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	return dir
}

// pythonForAll returns an interpreter that every user may run. That of the project's virtual
// environment may be in a private home directory.
func pythonForAll(t *testing.T) string {
	t.Helper()
	anybody := &account.Account{Name: "anybody", UID: 4711, GID: 4712}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/bin", "/usr/local/bin") {
		path := filepath.Join(dir, "python3")
		cmd := exec.Command(path, "-c", "import ctypes")
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: anybody.Credential()}
		if anybody.May(account.Run, path) == nil && cmd.Run() == nil {
			return path
		}
	}
	t.Skip("no python3 that every user may run: sites that run as other users are left out here")
	return ""
}

func (r *running) whoami(host string, try ...string) who {
	r.t.Helper()
	a := r.get(host, "/whoami?"+url.Values{"try": try}.Encode())
	var w who
	if err := json.Unmarshal([]byte(a.body), &w); err != nil {
		r.t.Fatalf("%s: status %d, %v:\n%s", host, a.status, err, a.body)
	}
	return w
}

func eachIsItsUser(t *testing.T, r *running) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid) // a number, here and below
	gid, _ := strconv.Atoi(nobody.Gid)
	for _, want := range []struct {
		site     string
		uid, gid int
		groups   []int
		umask    string
		env      map[string]string
	}{
		{"forked", 4711, 4712, []int{4713, 4714}, "0027", map[string]string{
			"HOME": "/", "USER": "4711", "LOGNAME": "4711", "LANG": "C.UTF-8", "SECRET": "forked-secret"}},
		{"beside", 4711, 4712, []int{4713, 4714}, "0017", map[string]string{
			"HOME": "/", "USER": "4711", "LOGNAME": "4711", "LANG": "C.UTF-8"}},
		{"single", 4711, 4712, nil, "0007", map[string]string{
			"HOME": "/", "USER": "4711", "LOGNAME": "4711", "LANG": "C", "LC_ALL": "xx_XX.UTF-8"}},
		{"plain", uid, gid, []int{gid}, "0077", map[string]string{
			"HOME": "/elsewhere", "USER": "nobody", "LOGNAME": "nobody", "LANG": "C.UTF-8", "SECRET": "plain-secret"}},
		{"program", 4811, 4812, nil, "0026", map[string]string{
			"HOME": "/", "USER": "4811", "LOGNAME": "4811", "LANG": "C.UTF-8", "SECRET": "program-secret"}},
	} {
		got := r.in(t).whoami(want.site + ".example.com")
		for _, id := range got.UIDs {
			if id != want.uid {
				t.Errorf("%s: uids %v, want %d", want.site, got.UIDs, want.uid)
			}
		}
		if !slices.Equal(got.GIDs, []int{want.gid, want.gid, want.gid}) || !slices.Equal(got.Groups, want.groups) || got.Umask != want.umask {
			t.Errorf("%s: gids %v, groups %v, umask %s, want %d, %v, %s", want.site, got.GIDs, got.Groups, got.Umask, want.gid, want.groups, want.umask)
		}
		for _, name := range []string{"HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "SECRET", "SHELL", "TMPDIR"} {
			if got.Env[name] != want.env[name] {
				t.Errorf("%s: %s=%q, want %q", want.site, name, got.Env[name], want.env[name])
			}
		}
	}
	if got := r.site("plain").User; got != "nobody" {
		t.Errorf("status says %q, want nobody", got)
	}
	for site, preload := range map[string]string{"forked": "on", "beside": "on", "plain": "off"} {
		if got := r.site(site).Preload; !strings.HasPrefix(got, preload) {
			t.Errorf("%s: preload %q, want %q", site, got, preload)
		}
	}
	if log := r.siteLog("single"); !strings.Contains(log, `the locale "xx_XX.UTF-8" is not installed`) {
		t.Errorf("nothing is said of a locale that is not there:\n%s", log)
	}
}

func serviceIsItsUser(t *testing.T, r *running) {
	eventually(t, "the service to write its user", func() bool { return strings.Contains(r.siteLog("forked"), "helper of 4711") })
	var told []string
	for line := range strings.Lines(r.siteLog("forked")) {
		if _, said, ok := strings.Cut(strings.TrimSpace(line), "service.helper "); ok && !strings.Contains(said, "=") {
			told = append(told, said)
		}
	}
	if want := []string{"0027", "4711", "4712 4713 4714", "helper of 4711"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

// sameUserShares: a project zygote belongs to a user, and so does what it keeps.
func sameUserShares(t *testing.T, r *running) {
	eventually(t, "the report of both sites", func() bool {
		kept, err := filepath.Glob(filepath.Join(r.dir, ".multisite", "python", "learned", "4711", "*.json"))
		return err == nil && len(kept) == 2
	})
	for _, site := range []string{"forked", "beside"} {
		if log := r.siteLog(site); strings.Contains(log, "cannot be written") || strings.Contains(log, "level=WARN") {
			t.Errorf("%s:\n%s", site, log)
		}
	}
}

// noSiteReachesAnother lets each site try to read the secrets of another.
func noSiteReachesAnother(t *testing.T, r *running) {
	state := filepath.Join(r.dir, ".multisite")
	try := []string{
		"read " + filepath.Join(r.dir, "secret.env"), "read " + filepath.Join(state, "journal.db"),
		"list " + filepath.Join(state, "run"), "list " + filepath.Join(state, "logs"), "list " + filepath.Join(state, "spool"),
		"connect " + filepath.Join(state, "control.sock"), "kill " + strconv.Itoa(r.pid), fmt.Sprintf("read /proc/%d/environ", r.pid),
	}
	sites := []string{"forked", "plain", "program"}
	of := map[string][]string{}
	for _, site := range sites {
		sockets, err := filepath.Glob(filepath.Join(state, "run", site+".*", "*.sock"))
		if err != nil || len(sockets) == 0 {
			t.Fatalf("site %s has no sockets: %v", site, err)
		}
		for _, path := range sockets {
			of[site] = append(of[site], "connect "+path, "list "+filepath.Dir(path))
		}
		for _, w := range r.site(site).Workers {
			of[site] = append(of[site], fmt.Sprintf("read /proc/%d/environ", w.PID), fmt.Sprintf("list /proc/%d/fd", w.PID), fmt.Sprintf("kill %d", w.PID))
		}
	}
	for _, site := range sites {
		all := slices.Clone(try)
		for _, other := range sites {
			if other != site {
				all = append(all, of[other]...)
			}
		}
		got := r.in(t).whoami(site+".example.com", append(all, "read /etc/hostname")...)
		for _, text := range all {
			if got.Tried[text] != "PermissionError" {
				t.Errorf("%s: %s: %q", site, text, got.Tried[text])
			}
		}
		if got.Tried["read /etc/hostname"] != "done" {
			t.Errorf("%s cannot read what is for all: %q", site, got.Tried["read /etc/hostname"])
		}
	}
}

func frontDoorReadsAsUser(t *testing.T, r *running) {
	if a := r.get("forked.example.com", "/static/open.txt"); a.status != 200 || a.body != "for all" {
		t.Errorf("a file for all: status %d, %q", a.status, a.body)
	}
	if a := r.get("forked.example.com", "/static/closed.txt"); a.status != 404 {
		t.Errorf("a file of root: status %d, %q", a.status, a.body)
	}
}

// secretsAreToldNowhere looks for secrets where every user can look, and in every log.
func secretsAreToldNowhere(t *testing.T, r *running) {
	seen := map[string]string{"status": r.must("status"), "status --json": r.must("status", "--json"), "screen": r.out.String(), "console": r.log.String()}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(r.dir, ".multisite", "logs", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	for _, path := range slices.Concat(commands, logs, []string{filepath.Join(r.dir, ".multisite", "journal.db")}) {
		b, _ := os.ReadFile(path) // empty for a process that has just exited
		seen[path] = string(b)
	}
	for where, text := range seen {
		for _, secret := range []string{"forked-secret", "plain-secret", "program-secret"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s contains %s", where, secret)
			}
		}
	}
}

func anotherUserIsNewWorkers(t *testing.T, r *running) {
	path := filepath.Join(r.dir, "sites.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `user = "4811"`, `user = "4911"`, 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "secret.env"), []byte("SECRET=other-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	did := r.must("reload")
	if want := "forked: new workers, generation 2 (env changed)\nprogram: new workers, generation 2 (user or group changed)\n"; did != want {
		t.Errorf("got %q, want %q", did, want)
	}
	if got := r.whoami("program.example.com"); got.UIDs[0] != 4911 {
		t.Errorf("it is user %v", got.UIDs)
	}
	if got := r.whoami("forked.example.com"); got.Env["SECRET"] != "other-secret" {
		t.Errorf("its secret is %q", got.Env["SECRET"])
	}
}
