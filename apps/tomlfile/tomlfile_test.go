package tomlfile

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// mustParse reads text as the file conf/app.toml.
func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("conf/app.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// report returns each problem as the user reads it, with its hint in brackets.
func report(err error) []string {
	problems, _ := errors.AsType[Problems](err)
	var lines []string
	for _, p := range problems {
		line := p.Error()
		if p.Hint != "" {
			line += " [" + p.Hint + "]"
		}
		lines = append(lines, line)
	}
	return lines
}

func wantReport(t *testing.T, err error, want ...string) {
	t.Helper()
	if got := report(err); !slices.Equal(got, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestTable_ReadsEveryType(t *testing.T) {
	t.Parallel()
	f := mustParse(t, `
title = "Blog"
debug = true
pages = 7
wait = "1m30s"
body = "64KiB"
hosts = ["a", "b"]
one = "c"
data = "var/blog.db"
[mail]
from = "a@b"
[[menu]]
text = "Home"
[[menu]]
text = "About"
[env]
B = "2"
A = "1"
`)
	top := f.Root()
	var title, data, from string
	var debug bool
	var pages int
	var wait time.Duration
	var body int64
	var hosts, one []string
	top.String("title", &title)
	top.Bool("debug", &debug)
	top.Int("pages", &pages, 1)
	top.Duration("wait", &wait)
	top.Size("body", &body)
	top.Strings("hosts", &hosts)
	top.Strings("one", &one)
	top.Path("data", &data)
	top.Table("mail").String("from", &from)
	var menu []string
	for _, entry := range top.Tables("menu") {
		var text string
		entry.String("text", &text)
		menu = append(menu, text)
	}
	names := top.Table("env").Names()

	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	got := []any{title, debug, pages, wait, body, hosts, one, data, from, menu, names}
	want := []any{"Blog", true, 7, 90 * time.Second, int64(65536), []string{"a", "b"}, []string{"c"},
		filepath.Join(wd, "conf/var/blog.db"), "a@b", []string{"Home", "About"}, []string{"A", "B"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	wantReport(t, f.Problems().Err())
}

func TestTable_AbsentKeysKeepTheirDefault(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "")
	n, s := 5, "default"
	if f.Root().Int("n", &n, 1) || f.Root().Table("x").String("s", &s) || f.Root().Tables("y") != nil {
		t.Error("an absent key was found")
	}
	if n != 5 || s != "default" {
		t.Errorf("got %d and %q, want 5 and default", n, s)
	}
	wantReport(t, f.Problems().Err())
}

func TestTable_ReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	f := mustParse(t, `titel = "Blog"
debug = "yes"
pages = "7"
few = 0
many = 99999999999
wait = 30
bare = "30"
body = "1 MB"
hosts = [
  "a",
  7,
]
data = ""
mail = "a@b"
menu = 1.5
when = 1979-05-27
[other."my.table"]
x = 1
`)
	top := f.Root()
	var text string
	var flag bool
	var n int
	var d time.Duration
	var size int64
	var list []string
	top.String("title", &text)
	top.Bool("debug", &flag)
	for _, name := range []string{"pages", "few", "many"} {
		top.Int(name, &n, 1)
	}
	top.Duration("wait", &d)
	top.Duration("bare", &d)
	top.Size("body", &size)
	top.Strings("hosts", &list)
	top.Path("data", &text)
	top.Table("mail").String("from", &text)
	top.Tables("menu")
	top.Strings("when", &list)
	top.Table("other").Table("my.table").Reject("belongs elsewhere", "move it", "x", "y")

	wantReport(t, f.Problems().Err(),
		`conf/app.toml:1: unknown key "titel" [did you mean "title"?]`,
		`conf/app.toml:2: debug: must be true or false, not a string`,
		`conf/app.toml:3: pages: must be a whole number, not a string`,
		`conf/app.toml:4: few: must be at least 1, not 0`,
		`conf/app.toml:5: many: must be at most 2147483647, not 99999999999`,
		`conf/app.toml:6: wait: must be a duration such as "30s", not a whole number`,
		`conf/app.toml:7: bare: "30" has no unit [write "30s"]`,
		`conf/app.toml:8: body: "1 MB" is not a size [write one such as "64MB"; units: B, KB, MB, GB, KiB, MiB, GiB]`,
		`conf/app.toml:11: hosts: must be a list of strings; one is a whole number`,
		`conf/app.toml:13: data: must not be empty`,
		`conf/app.toml:14: mail: must be a table, not a string`,
		`conf/app.toml:15: menu: must be a list of tables, not a decimal number`,
		`conf/app.toml:16: when: must be a string or a list of strings, not a date or time`,
		`conf/app.toml:18: other."my.table".x: belongs elsewhere [move it]`,
	)
	if text != "" || flag || n != 0 || d != 0 || size != 0 || list != nil {
		t.Error("a wrong value was set")
	}
}

func TestTable_UnknownTableIsOneProblem(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "[databse]\nfile = 'x'\n[[menu]]\ntxt = 'Home'\n")
	f.Root().Table("database").Has("file")
	f.Root().Tables("menu")[0].Has("text")
	wantReport(t, f.Problems().Err(),
		`conf/app.toml:1: unknown key "databse" [did you mean "database"?]`,
		`conf/app.toml:4: unknown key "menu[0].txt" [did you mean "text"?]`)
}

func TestTable_MayBeAskedForTwice(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "[a]\nb = 1\nc = 2\n")
	f.Root().Table("a").Has("b")
	f.Root().Table("a").Has("c")
	wantReport(t, f.Problems().Err())
}

func TestProblems_ErrSortsAndSaysEachOnce(t *testing.T) {
	t.Parallel()
	at := func(file string, line int) Problem { return Problem{Position: Position{file, line}, Message: "m"} }
	err := Problems{at("b", 1), at("a", 20), at("a", 3), at("b", 1)}.Err()
	if got, want := err.Error(), "a:3: m\na:20: m\nb:1: m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := (Problems{}).Err(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestRead_SaysWhyAFileCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Read(filepath.Join(dir, "none.toml"))
	wantReport(t, err, dir+"/none.toml: no such file")
	_, err = Read(dir)
	wantReport(t, err, dir+": is a directory")
}

func TestParse_SyntaxErrorsHaveAPosition(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = 1\nb = \n":            `s.toml:2: expected value but found '\n' instead`,
		"a = 1\na = 2\n":           `s.toml:2: key 'a' has already been defined`,
		"[x]\n[x]\n":               `s.toml:2: key 'x' has already been defined`,
		"a = 1\n\n\nb = \"open\n":  `s.toml:4: strings cannot contain newlines`,
		"a = 'x'\nb = \"\x01\"":    `s.toml:2: TOML files cannot contain control characters: '0x01'`,
		"a = [1,\n2\nb = 3":        `s.toml:3: expected a comma (',') or array terminator (']'), but got 'b'`,
		"a = 99999999999999999999": `s.toml:1: 99999999999999999999 is out of range for int64`,
	} {
		_, err := Parse("s.toml", []byte(text))
		wantReport(t, err, want)
	}
}

func TestFile_AddKeepsAProblemToOneLine(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "a = 'x'\n")
	f.Root().Problem("a", "no such file: a\nb", "\x1b[31mhint")
	wantReport(t, f.Problems().Err(), "conf/app.toml:1: a: no such file: a\uFFFDb [\uFFFD[31mhint]")
}

func TestExpand(t *testing.T) {
	t.Parallel()
	lookup := func(name string) (string, bool) {
		v, set := map[string]string{"USER": "eve", "EMPTY": ""}[name]
		return v, set
	}
	for _, tt := range []struct{ in, want, problem string }{
		{in: "plain $USER pa$$word", want: "plain $USER pa$$word"},
		{in: "/home/${USER}/${USER}", want: "/home/eve/eve"},
		{in: "${EMPTY}", want: ""},
		{in: "${EMPTY:-x}${NONE:-}", want: "x"},
		{in: "${NONE:-http://a:80}", want: "http://a:80"},
		{in: "$${USER} ${USER}", want: "${USER} eve"},
		{in: "${NONE}", want: "${NONE}", problem: `f.toml:1: k: environment variable NONE is not set [set it, or give a default: ${NONE:-default}]`},
		{in: "${1X}", want: "${1X}", problem: `f.toml:1: k: "${1X}" is not a variable [write ${NAME} or ${NAME:-default}; a literal ${ is written $${]`},
		{in: "${USER", want: "${USER", problem: `f.toml:1: k: "${USER" is not a variable [write ${NAME} or ${NAME:-default}; a literal ${ is written $${]`},
	} {
		f := &File{name: "f.toml", lines: map[string]int{joinPath([]string{"k"}): 1}, unresolved: map[string]bool{}}
		if got := f.expand([]string{"k"}, tt.in, lookup); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
		if got := strings.Join(report(f.Problems().Err()), "\n"); got != tt.problem {
			t.Errorf("%q: got %s, want %s", tt.in, got, tt.problem)
		}
	}
}

func TestParse_SubstitutesEverywhereAndReportsOnce(t *testing.T) {
	t.Setenv("TOMLFILE_TEST", "yes")
	f := mustParse(t, "a = '${TOMLFILE_TEST}'\nb = [\n['${TOMLFILE_TEST}']]\n[[c]]\nd = {e = '${TOMLFILE_TEST}'}\n[x]\nwait = '${TOMLFILE_NONE}'\n")
	want := map[string]any{"a": "yes", "b": []any{[]any{"yes"}},
		"c": []map[string]any{{"d": map[string]any{"e": "yes"}}}, "x": map[string]any{"wait": "${TOMLFILE_NONE}"}}
	if !reflect.DeepEqual(f.root.values, want) {
		t.Errorf("got %v, want %v", f.root.values, want)
	}
	f.Root().Names()
	var d time.Duration
	f.Root().Table("x").Duration("wait", &d)
	wantReport(t, f.Problems().Err(),
		`conf/app.toml:7: x.wait: environment variable TOMLFILE_NONE is not set [set it, or give a default: ${TOMLFILE_NONE:-default}]`)
}

func TestNearest(t *testing.T) {
	t.Parallel()
	choices := []string{"processes", "threads", "python_home", "python_path", "home", "env"}
	for word, want := range map[string]string{
		"proceses": "processes", "Threads": "threads", "python-path": "python_path", "hoem": "home",
		"emv": "env", "workers": "", "x": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(word, choices); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0B": 0, "1KB": 1000, "200MB": 200_000_000, "2gb": 2_000_000_000, "1KiB": 1024, "3MiB": 3 << 20, "8589934591GiB": 8589934591 << 30,
		"": -1, "MB": -1, "-1MB": -1, "1.5GB": -1, "1TB": -1, "8589934592GiB": -1, "99999999999999999999B": -1, "12": -1,
	} {
		got, message, hint := parseSize(in)
		if bad := want < 0; bad != (message != "") || bad != (hint != "") || !bad && got != want {
			t.Errorf("%q: got %d, %q, %q", in, got, message, hint)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "0s": 0, "1h30m": 90 * time.Minute, "500ms": time.Second / 2,
		"1d": 24 * time.Hour, "2y": 2 * 365 * 24 * time.Hour, "101y": -1, "d": -1, "1d1h": -1, "99999999999999999999d": -1,
		"30": -1, "": -1, "-1s": -1, "soon": -1, "999999999h": -1,
	} {
		got, message, _ := parseDuration(in)
		if bad := want < 0; bad != (message != "") || !bad && got != want {
			t.Errorf("%q: got %v, %q", in, got, message)
		}
	}
}

// paths returns every key below value, named as scanLines does.
func paths(path string, value any, to map[string]bool) {
	if path != "" {
		to[path] = true
	}
	switch v := value.(type) {
	case map[string]any:
		for name := range maps.Keys(v) {
			paths(join(path, name), v[name], to)
		}
	case []any:
		for i := range v {
			paths(join(path, index(i)), v[i], to)
		}
	case []map[string]any:
		for i := range v {
			paths(join(path, index(i)), v[i], to)
		}
	}
}
