package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/cron"
)

const plainSite = "[site.x]\nserver_name = 'x'\nsettings = 'a.b'\npython_home = 'venv'\n"

func TestLoad_Tasks(t *testing.T) {
	t.Parallel()
	dir := project(t)
	write(t, dir+"/venv/bin/celery", "", 0o755)
	write(t, dir+"/run/worker.sh", "", 0o755)
	c := mustLoad(t, dir, `
[defaults.service.bot]
command = "celery -A 'my project' worker"
[defaults.cron]
clear = { schedule = "@daily", command = ["python3", "-m", "clear"] }
[site.x]
server_name = 'x'
settings = 'a.b'
python_home = 'venv'
home = 'run'
[site.x.service.aid]
command = "./worker.sh"
[site.x.cron]
clear = { schedule = "*/5 * * * *", command = '`+dir+`/bin/app "a b" ""' }
[site.y]
server_name = 'y'
app = 'bin/app'
env = { PATH = '`+dir+`/venv/bin' }
`)
	daily, _ := cron.Parse("@daily")
	often, _ := cron.Parse("*/5 * * * *")
	bot := Service{"bot", Command{dir + "/venv/bin/celery", []string{"celery", "-A", "my project", "worker"}}}
	for i, want := range []Site{{
		Services: []Service{{"aid", Command{dir + "/run/worker.sh", []string{"./worker.sh"}}}, bot},
		Cron:     []Cron{{"clear", often, Command{dir + "/bin/app", []string{dir + "/bin/app", "a b", ""}}}},
	}, {
		Services: []Service{bot},
		Cron:     []Cron{{"clear", daily, Command{dir + "/venv/bin/python3", []string{"python3", "-m", "clear"}}}},
	}} {
		got := c.Sites[i]
		if !reflect.DeepEqual(got.Services, want.Services) || !reflect.DeepEqual(got.Cron, want.Cron) {
			t.Errorf("site %s: got\n%+v\n%+v\nwant\n%+v\n%+v", got.Name, got.Services, got.Cron, want.Services, want.Cron)
		}
	}
}

func TestLoad_TaskProblems(t *testing.T) {
	t.Parallel()
	dir := project(t)
	write(t, dir+"/sites.toml", plainSite+`
[site.x.service."a/b"]
command = "python3"
[site.x.service]
b = "python3"
c = {}
d = { command = "" }
e = { command = [] }
f = { command = 7 }
g = { command = ["python3", 7] }
h = { command = "python3 -c 'print(1)' | tee out" }
i = { command = 'python3 "half' }
j = { command = "no-such-program --now" }
k = { command = "./bin/data" }
l = { command = "python3", comand = "" }
[site.x.cron]
m = { schedule = "@daily" }
n = { command = "python3" }
o = { schedule = "61 * * * *", command = "python3" }
p = { schedule = 5, command = "python3" }
`, 0o644)
	_, err := Load(dir + "/sites.toml")
	wantReport(t, dir, err,
		`sites.toml:6: site.x.service."a/b": not a name [use letters, digits, "-" and "_"]`,
		`sites.toml:9: site.x.service.b: must be a table, not a string`,
		`sites.toml:10: site.x.service.c.command: missing [write a list such as ["celery", "-A", "project", "worker"], or a string]`,
		`sites.toml:11: site.x.service.d.command: must name a program`,
		`sites.toml:12: site.x.service.e.command: must name a program`,
		`sites.toml:13: site.x.service.f.command: must be a string or a list of strings, not a whole number`,
		`sites.toml:14: site.x.service.g.command: must be a list of strings; one is a whole number`,
		`sites.toml:15: site.x.service.h.command: no shell reads this: | has no meaning [put it in single quotes, or write ["sh", "-c", "..."]]`,
		`sites.toml:16: site.x.service.i.command: a quote is not closed`,
		`sites.toml:17: site.x.service.j.command: there is no program "no-such-program" in DIR/venv/bin or in PATH`,
		`sites.toml:18: site.x.service.k.command: not a program: DIR/bin/data [chmod +x DIR/bin/data]`,
		`sites.toml:19: unknown key "site.x.service.l.comand" [did you mean "command"?]`,
		`sites.toml:21: site.x.cron.m.command: missing [write a list such as ["celery", "-A", "project", "worker"], or a string]`,
		`sites.toml:22: site.x.cron.n.schedule: missing [write one such as "*/5 * * * *" or "@daily"]`,
		`sites.toml:23: site.x.cron.o.schedule: minute "61" is not within 0-59`,
		`sites.toml:24: site.x.cron.p.schedule: must be a string, not a whole number`,
	)
}

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"  \t ", nil},
		{"celery -A project  worker ", []string{"celery", "-A", "project", "worker"}},
		{`a 'b c' "d e" f'g'"h"`, []string{"a", "b c", "d e", "fgh"}},
		{`a '' ""`, []string{"a", "", ""}},
		{`sh -c 'a; b > $C "d"'`, []string{"sh", "-c", `a; b > $C "d"`}},
		{`a "it's; *"`, []string{"a", "it's; *"}},
		{"a=b ü", []string{"a=b", "ü"}},
	} {
		if got, problem, _ := splitCommand(test.text); problem != "" || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, %s, want %q", test.text, got, problem, test.want)
		}
	}
	for _, text := range []string{"a | b", "a;b", "a &", "a > b", "a $B", "a `b`", `a \b`, "a *", "a ?", "a [b]", "a {b,c}", "a ~", "a # b", `a "$B"`, "a 'b", `a "b`} {
		if got, problem, _ := splitCommand(text); problem == "" {
			t.Errorf("%q: got %q, want a problem", text, got)
		}
	}
}

func TestLoad_ReloadOn(t *testing.T) {
	t.Parallel()
	dir := project(t)
	c := mustLoad(t, dir, "[defaults]\nreload_on = 'code'\n"+plainSite+
		"[site.y]\nserver_name = 'y'\nsettings = 'a.b'\nreload_on = ['touch:run/reload', 'touch:"+dir+"/run/reload', 'touch:src/../x']\n")
	for i, want := range []ReloadOn{{Code: true}, {Touch: []string{dir + "/run/reload", dir + "/x"}}} {
		if got := c.Sites[i].ReloadOn; !reflect.DeepEqual(got, want) {
			t.Errorf("site %s: got %+v, want %+v", c.Sites[i].Name, got, want)
		}
	}
}

func TestLoad_ReloadOnProblems(t *testing.T) {
	t.Parallel()
	dir := project(t)
	_, err := Parse(dir+"/sites.toml", []byte(plainSite+`reload_on = [
  "cod",
  "touch:",
  "touch:nowhere/reload",
]
[site.y]
server_name = "y"
settings = "a.b"
python_home = "venv"
reload_on = true
`))
	wantReport(t, dir, err,
		`sites.toml:6: site.x.reload_on: "cod" is nothing to watch [write "code" or "touch:PATH"]`,
		`sites.toml:7: site.x.reload_on: there is no file after touch: [write one such as "touch:reload.txt"]`,
		`sites.toml:8: site.x.reload_on: no such directory: DIR/nowhere`,
		`sites.toml:14: site.y.reload_on: must be a string or a list of strings, not true or false`,
	)
}

// FuzzSplitCommand: words put in single quotes come back as they were.
func FuzzSplitCommand(f *testing.F) {
	f.Add(`celery -A 'my project' worker "x y"`)
	f.Add("a|b")
	f.Fuzz(func(t *testing.T, text string) {
		words, problem, _ := splitCommand(text)
		if problem != "" || strings.Contains(strings.Join(words, ""), "'") {
			return
		}
		quoted := "'" + strings.Join(words, "' '") + "'"
		if again, problem, _ := splitCommand(quoted); len(words) > 0 && !slices.Equal(again, words) {
			t.Errorf("%q is %q, but %s is %q, %s", text, words, quoted, again, problem)
		}
	})
}
