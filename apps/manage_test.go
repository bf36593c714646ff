package apps_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps"
)

func TestManage_RefusesBadUsageBeforeAnyWork(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stdin string
		args        []string
		text        string
	}{
		{"nothing", "", nil, "multisite: hint: there are migrate, createsuperuser"},
		{"unknown", "", []string{"runserver"}, `unknown management command "runserver"`},
		{"no file", "", []string{"backup"}, "usage: backup FILE"},
		{"too much", "", []string{"migrate", "blog"}, "migrate: wrong arguments: blog"},
		{"unknown flag", "", []string{"createsuperuser", "--password", "x"}, "flag provided but not defined: -password"},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "state")
			code, out := runManage(t, state, test.stdin, test.args...)
			if code != 2 || !strings.Contains(out, test.text) {
				t.Errorf("got exit code %d, %q; want 2, %q", code, out, test.text)
			}
			if _, err := os.Stat(state); err == nil {
				t.Error("a state directory was made")
			}
		})
	}
}

// TestManage_Help: a request for help is not an error and changes nothing.
func TestManage_Help(t *testing.T) {
	t.Parallel()
	const createsuperuser = "usage: createsuperuser --username NAME [--email ADDRESS]\n\nadd a user who may do everything; the password is asked for, or read from standard input\n"
	for _, test := range []struct{ args, want string }{
		{"createsuperuser --help", createsuperuser},
		{"createsuperuser -h", createsuperuser},
		{"help createsuperuser", createsuperuser},
		{"migrate --help", "usage: migrate\n\nbring the database up to date\n"},
		{"--help", "backup FILE\n    copy the database to a file while it is in use\nchangepassword NAME\n"},
		{"help", "backup FILE\n    copy the database to a file while it is in use\nchangepassword NAME\n"},
	} {
		state := filepath.Join(t.TempDir(), "state")
		code, out := runManage(t, state, "", strings.Fields(test.args)...)
		if code != 0 || !strings.HasPrefix(out, test.want) {
			t.Errorf("%s: exit code %d, %q; want 0, %q", test.args, code, out, test.want)
		}
		if _, err := os.Stat(state); err == nil {
			t.Errorf("%s: a state directory was made", test.args)
		}
	}
}

func TestManage_CreatesAndChangesUsers(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	opts := apps.Options{StateDir: p.state}
	if has, err := apps.HasSuperuser(t.Context(), "builtin:subdomain1", opts); has || err != nil {
		t.Fatalf("a fresh project: superuser %v, error %v", has, err)
	}
	for _, test := range []struct {
		stdin, text string
		args        []string
		code        int
	}{
		{"", "at least 10 characters", []string{"createsuperuser", "--username", "ada"}, 1},
		{"short\n", "at least 10 characters", []string{"createsuperuser", "--username", "ada"}, 1},
		{"ada-ada-ada\n", "contain the user name", []string{"createsuperuser", "--username", "ada"}, 1},
		{strings.Repeat("ab", 40), "at most 72 bytes", []string{"createsuperuser", "--username", "ada"}, 1},
		{testPassword, "a user name has letters", []string{"createsuperuser", "--username", "a b"}, 1},
		{testPassword, "give --username NAME", []string{"createsuperuser"}, 2},
		{testPassword + "\n", "Superuser ada created.", []string{"createsuperuser", "--username", "ada"}, 0},
		{testPassword + "\n", `a user "Ada" already`, []string{"createsuperuser", "--username", "Ada"}, 1},
		{testPassword + "\n", `no user "bob"`, []string{"changepassword", "bob"}, 1},
	} {
		if code, out := runManage(t, p.state, test.stdin, test.args...); code != test.code || !strings.Contains(out, test.text) {
			t.Errorf("%v: got exit code %d, %q; want %d, %q", test.args, code, out, test.code, test.text)
		}
	}
	if has, err := apps.HasSuperuser(t.Context(), "builtin:subdomain2", opts); !has || err != nil {
		t.Errorf("after createsuperuser: superuser %v, error %v", has, err)
	}
	v := p.visitor(site2)
	v.logIn("ada")
	if code, out := runManage(t, p.state, "a new password\n", "changepassword", "ada"); code != 0 {
		t.Fatalf("changepassword: %s", out)
	}
	v.get("/admin/").want(t, http.StatusSeeOther)
	v.post("/accounts/login", "username", "ada", "password", "a new password", "next", "/admin/").want(t, http.StatusSeeOther)
}

func TestManage_DumpsAndLoads(t *testing.T) {
	t.Parallel()
	from, to := newPolls(t), newProject(t)
	from.user(1, testUser, 1, 1)
	from.visitor(site2).post("/drinks", "choice", "1").want(t, http.StatusSeeOther)
	code, dump := runManage(t, from.state, "", "dumpdata")
	if code != 0 || strings.Contains(dump, "sessions_session") {
		t.Fatalf("dumpdata: exit code %d: %s", code, dump)
	}
	file := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(file, []byte(dump), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // rows that are there are replaced
		if code, out := runManage(t, to.state, "", "loaddata", file); code != 0 {
			t.Fatalf("loaddata: %s", out)
		}
	}
	if _, again := runManage(t, to.state, "", "dumpdata"); again != dump {
		t.Errorf("a dump that was loaded gives another dump:\n%s", again)
	}
	to.visitor(site1).logIn(testUser)

	if code, only := runManage(t, from.state, "", "dumpdata", "blog"); code != 0 || strings.Contains(only, "polls_") || !strings.Contains(only, "blog_post_sites") {
		t.Errorf("dumpdata blog: exit code %d: %s", code, only)
	}
	if code, out := runManage(t, from.state, "", "dumpdata", "bolg"); code != 2 || !strings.Contains(out, `"bolg" is not installed`) {
		t.Errorf("dumpdata bolg: exit code %d: %s", code, out)
	}
}

func TestManage_LoadsAllOrNothing(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for name, dump := range map[string]string{
		"not JSON":          `[`,
		"more behind":       `[] []`,
		"unknown table":     `[{"table": "sites_site", "rows": [{"id": 9, "domain": "x", "name": "x"}]}, {"table": "nope", "rows": []}]`,
		"unknown column":    `[{"table": "sites_site", "rows": [{"id": 9, "domain": "x", "name": "x", "nope": 1}]}]`,
		"dangling":          `[{"table": "sites_site", "rows": [{"id": 9, "domain": "x", "name": "x"}]}, {"table": "polls_choice", "rows": [{"id": 1, "poll_id": 5, "text": "x"}]}]`,
		"wrong type":        `[{"table": "sites_site", "rows": [{"id": "nine", "domain": "x", "name": "x"}]}]`,
		"other apps' table": `[{"table": "migration", "rows": [{"app": "x", "name": "x", "applied_at": "x"}]}]`,
	} {
		if code, out := runManage(t, p.state, dump, "loaddata", "-"); code != 1 {
			t.Errorf("%s: got exit code %d: %s", name, code, out)
		}
	}
	if got := p.query("SELECT count(*) FROM sites_site"); got != "2" {
		t.Errorf("there are %s sites, want 2", got)
	}
}

func TestManage_BacksUp(t *testing.T) {
	t.Parallel()
	p := newPolls(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "sites.db") // where a project with this state directory has its database
	if code, out := runManage(t, p.state, "", "backup", file); code != 0 {
		t.Fatalf("backup: %s", out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if got := (project{t: t, state: dir}).query("SELECT count(*) FROM polls_choice"); got != "3" {
		t.Errorf("the backup has %s choices, want 3", got)
	}
	if code, out := runManage(t, p.state, "", "backup", file); code != 1 || !strings.Contains(out, "exists") {
		t.Errorf("a second backup to one file: exit code %d: %s", code, out)
	}
}

func TestManage_Shell(t *testing.T) {
	t.Parallel()
	p := newPolls(t)
	code, out := runManage(t, p.state, "SELECT slug,\n\n  closes_at AS until\nFROM polls_poll\nWHERE id < 3;\n.tables\n.quit\nnonsense;\n", "dbshell")
	if code != 0 || !strings.Contains(out, "slug    until\ndrinks  NULL\nlate    2026-01-02T00:00:00Z\n") || !strings.Contains(out, "polls_vote") {
		t.Errorf("got exit code %d:\n%s", code, out)
	}
	if code, out := runManage(t, p.state, "SELECT nonsense;\n", "dbshell"); code != 1 || !strings.Contains(out, "no such column") {
		t.Errorf("got exit code %d:\n%s", code, out)
	}
}
