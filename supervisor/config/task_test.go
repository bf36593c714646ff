package config

import (
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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
stop_timeout = "1m"
stop_signal = "QUIT"
overlap = true
[site.x.cron]
clear = { schedule = "*/5 * * * *", command = '`+dir+`/bin/app "a b" ""', stop_timeout = "2s", stop_signal = "SIGINT" }
[site.y]
server_name = 'y'
app = 'bin/app'
env = { PATH = '`+dir+`/venv/bin' }
`)
	daily, _ := cron.Parse("@daily")
	often, _ := cron.Parse("*/5 * * * *")
	bot := Service{Name: "bot", Command: Command{dir + "/venv/bin/celery", []string{"celery", "-A", "my project", "worker"}}, Stop: Stop{Signal: syscall.SIGTERM}}
	for i, want := range []Site{{
		Services: []Service{{"aid", Command{dir + "/run/worker.sh", []string{"./worker.sh"}}, Stop{time.Minute, syscall.SIGQUIT}, true}, bot},
		Cron:     []Cron{{"clear", often, Command{dir + "/bin/app", []string{dir + "/bin/app", "a b", ""}}, Stop{2 * time.Second, syscall.SIGINT}}},
	}, {
		Services: []Service{bot},
		Cron:     []Cron{{"clear", daily, Command{dir + "/venv/bin/python3", []string{"python3", "-m", "clear"}}, Stop{0, syscall.SIGTERM}}},
	}} {
		got := c.Sites[i]
		if !reflect.DeepEqual(got.Services, want.Services) || !reflect.DeepEqual(got.Cron, want.Cron) {
			t.Errorf("site %s: got\n%+v\n%+v\nwant\n%+v\n%+v", got.Name, got.Services, got.Cron, want.Services, want.Cron)
		}
	}
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

// FuzzSplitCommand: arguments that are put in single quotes are split into the same ones.
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
