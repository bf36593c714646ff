package tomlfile

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Every value here is the number of its own line.
const numbered = `# a comment with [brackets] and "quotes
a = 2
"b.c" = 3 # [not] = "a table"
d . 'e f' . "g\u0041" = 4
multi = """
x = 99
\""" [z] """
after = 8

[t] # header
list = [ # 11
  12, # ]
  [ 13, 13 ],
  [[14], []] , {
    k = 15 , m.n = 15 },
]
inline = { p = { q = 17 }, r = [17] }
raw = '''
# ''''
last = 20

[[many]]
n = 23
[many.sub]
n = 25
[[many.deep]]
n = 27
[[many]]
n = 29
sub.n = 30
[ "" . x ]
"" = 32
date = 1979-05-27 07:32:00 # 33
`

func TestScanLines_FindsEachLine(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unix": numbered, "dos": strings.ReplaceAll(numbered, "\n", "\r\n"), "with a mark": "\xef\xbb\xbf" + numbered,
	} {
		f := mustParse(t, text)
		count := checkNumbers(t, f, "", f.root.values)
		if count != 19 {
			t.Errorf("%s: got %d numbers, want 19", name, count)
		}
		for path, want := range map[string]int{
			"multi": 5, "t": 10, "t list": 11, "t list [2]": 14, "t inline": 17, "t raw": 18, "many": 22,
			"many [0]": 22, "many [1]": 28, "many [0] deep": 26, "d": 4,
		} {
			got := f.lines[joinPath(strings.Split(path, " "))]
			if got != want {
				t.Errorf("%s: %s: got line %d, want %d", name, path, got, want)
			}
		}
	}
}

// checkNumbers compares each number with the line its path was found on.
func checkNumbers(t *testing.T, f *File, path string, value any) (count int) {
	t.Helper()
	children := map[string]any{}
	switch v := value.(type) {
	case int64:
		if got := f.lines[path]; int64(got) != v {
			t.Errorf("%q: got line %d, want %d", path, got, v)
		}
		return 1
	case map[string]any:
		children = v
	case []any:
		for i := range v {
			children[index(i)] = v[i]
		}
	case []map[string]any:
		for i := range v {
			children[index(i)] = v[i]
		}
	}
	for name, child := range children {
		count += checkNumbers(t, f, join(path, name), child)
	}
	return count
}

// FuzzParse: for a text that the library accepts, the scanner finds every key on an
// existing line, and nothing else.
func FuzzParse(f *testing.F) {
	f.Add([]byte(numbered))
	f.Add([]byte("a = '''x''''\r\n[[b.c]]\nd.\"e\\n\" = [{}, {f = 1}]\n"))
	f.Add([]byte("a = \"${X:-y}\" b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f.toml", data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		want := map[string]bool{}
		paths("", file.root.values, want)
		got := slices.Sorted(maps.Keys(file.lines))
		if all := slices.Sorted(maps.Keys(want)); !slices.Equal(got, all) {
			t.Errorf("got  %q\nwant %q", got, all)
		}
		for path, line := range file.lines {
			if line < 1 || line > strings.Count(string(data), "\n")+1 {
				t.Errorf("%q: no line %d", path, line)
			}
		}
		_ = file.Problems().Err() // must not panic
	})
}
