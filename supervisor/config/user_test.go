package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const blog = "[site.blog]\nserver_name = 'b'\nsettings = 'project.blog'\n"

// publicProject is a project whose directory every user may enter.
func publicProject(t testing.TB) string {
	t.Helper()
	dir := project(t)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // it is for this test alone
		t.Fatal(err)
	}
	return dir
}

func TestUser_ItsGroups(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no site is given to another user here")
	}
	dir := publicProject(t)
	c := mustLoad(t, dir, `
[defaults]
user = "4711"
group = "4712"
supplementary_groups = ["4714", "4713"]
home = "run"
`+blog+`
[site.own]
server_name = "own"
settings = "project.own"
user = "4811"
group = "4812"
[site.app]
server_name = "app"
app = "bin/app"
supplementary_groups = []
[site.nobody]
server_name = "nobody"
settings = "project.nobody"
user = "nobody"
`)
	want := map[string]string{"blog": "4711 4712 [4713 4714]", "own": "4811 4812 []", "app": "4711 4712 []"}
	for _, s := range c.Sites {
		if key, ok := want[s.Name]; ok && s.Account.Key() != key {
			t.Errorf("%s: got %q, want %q", s.Name, s.Account.Key(), key)
		}
		if s.Name == "nobody" && (s.Account.UID != 65534 || s.Account.GID == 4712 || slices.Contains(s.Account.Groups, 4713)) {
			t.Errorf("nobody: got %+v, want the groups that the system gives it", s.Account)
		}
	}
}

func TestUser_Problems(t *testing.T) {
	t.Parallel()
	dir := publicProject(t)
	for _, tt := range []struct{ name, text, want string }{
		{"nobody of this name", `user = "no-such-user"`, `user: there is no user "no-such-user"`},
		{"root", `user = "root"`, `user: a site cannot be given root's rights [name a user of its own; a site without user runs as the user that starts multisite]`},
		{"root by number", `user = "0"`, `user: a site cannot be given root's rights [name a user of its own; a site without user runs as the user that starts multisite]`},
		{"a number without a group", `user = "4711"`, `group: missing: user 4711 has no entry in the user database, and so no group`},
		{"no such group", "user = \"4711\"\ngroup = \"no-such-group\"", `group: there is no group "no-such-group"`},
		{"no such supplementary group", "user = \"4711\"\ngroup = \"1\"\nsupplementary_groups = [\"no-such-group\"]", `supplementary_groups: there is no group "no-such-group"`},
		{"a group alone", `group = "4711"`, `user: missing: groups need a user [write user beside group and supplementary_groups]`},
		{"a umask of no octal digits", `umask = "028"`, `umask: "028" is not a umask [write the octal digits in quotes: "022"]`},
		{"a umask that is too long", `umask = "1022"`, `umask: "1022" is not a umask [write the octal digits in quotes: "022"]`},
		{"a umask as a number", `umask = 22`, `umask: must be a string, not a whole number`},
		{"no locale", `lang = "de CH"`, `lang: "de CH" is not a locale [write one such as "C.UTF-8" or "de_CH.UTF-8"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(dir+"/sites.toml", []byte(blog+tt.text+"\n"))
			got := report(dir, err)
			if len(got) != 1 || !strings.HasSuffix(got[0], ": site.blog."+tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestUser_SomethingIsClosed: the message has the key and the directory that is closed.
func TestUser_SomethingIsClosed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: what another user may read is not looked up here")
	}
	dir := publicProject(t)
	write(t, dir+"/closed/venv/bin/python3", "", 0o755)
	for _, name := range []string{"closed", "run"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir+"/blog.toml", 0o600); err != nil {
		t.Fatal(err)
	}
	const user = "user = \"4711\"\ngroup = \"4711\"\n"
	_, err := Parse(dir+"/sites.toml", []byte("state_dir = 'closed/state'\n"+blog+user+`
home = "run"
python_home = "closed/venv"
[site.go]
server_name = "go"
settings = "blog.toml"
`+user+`
[site.builtin]
server_name = "builtin"
settings = "builtin:subdomain1"
`+user))
	wantReport(t, dir, err,
		`sites.toml:5: site.blog.user: user "4711" may not enter DIR/closed, and needs what is in state_dir [put it elsewhere: state_dir = "/var/lib/multisite"]`,
		`sites.toml:8: site.blog.home: user "4711" may not enter DIR/run`,
		`sites.toml:9: site.blog.python_home: user "4711" may not enter DIR/closed`,
		`sites.toml:12: site.go.settings: user "4711" may not read DIR/blog.toml`,
		`sites.toml:19: site.builtin.user: a builtin site keeps its database in state_dir, where only multisite itself may write [give it a settings file, whose database can be the user's]`,
	)
}
