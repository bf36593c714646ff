package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
)

var update = flag.Bool("update", false, "write what the code says into docs/config.md and testdata")

// allKeys are the keys of every table of sites.toml.
func allKeys() []key {
	return slices.Concat(topKeys, siteKeys, keysOf(reflect.TypeFor[Range]()), keysOf(reflect.TypeFor[Service]()), keysOf(reflect.TypeFor[Cron]()))
}

func TestKeys_TagsAreValid(t *testing.T) {
	t.Parallel()
	words := strings.Fields("door dashboard metrics sites state logs control worker code task pool reload")
	for _, k := range allKeys() {
		if k.typeName == "" || k.initial == "" {
			t.Errorf("%s: the tag has no type or no default", k.name)
		}
		if !slices.Contains([]string{"yes", "no", "wsgi app", "apps app"}, k.live) {
			t.Errorf("%s: live is %q", k.name, k.live)
		}
		if len(k.affects) == 0 || slices.ContainsFunc(k.affects, func(w string) bool { return !slices.Contains(words, w) }) {
			t.Errorf("%s: affects is %q, want some of %q", k.name, k.affects, words)
		}
	}
	for name := range siteReaders {
		if !slices.ContainsFunc(siteKeys, func(k key) bool { return k.name == name }) {
			t.Errorf("siteReaders has %s, which is no key of a site", name)
		}
	}
	for name := range topReaders {
		if !slices.Contains(topNames, name) {
			t.Errorf("topReaders has %s, which is no key of the whole file", name)
		}
	}
}

// TestKeys_EachIsRead fails for a key whose reader does not ask for it.
func TestKeys_EachIsRead(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	add := func(keys []key) {
		for _, k := range keys {
			fmt.Fprintf(&text, "%s = 1979-05-27\n", k.name)
		}
	}
	add(topKeys)
	text.WriteString("[site.x]\n")
	add(siteKeys)
	dir := t.TempDir()
	_, err := Parse(filepath.Join(dir, "sites.toml"), []byte(text.String()))
	for _, line := range report(dir, err) {
		if strings.Contains(line, "unknown key") {
			t.Error(line)
		}
	}
}

func TestKeys_DefaultsAreValid(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]key{topKeys, siteKeys} {
		l := &loader{config: &Config{}, files: []*tomlfile.File{mustParse(t, "")}}
		table := mustParse(t, defaultsText(keys))
		if slices.ContainsFunc(keys, func(k key) bool { return k.name == "listen" }) {
			l.readTopKeys(table.Root())
		} else {
			d := newDraft("/")
			d.table = table.Root()
			d.readKeys(key.inDefaults)
		}
		for _, p := range table.Problems() {
			t.Error(p)
		}
	}
}

func mustParse(t *testing.T, text string) *tomlfile.File {
	t.Helper()
	file, err := tomlfile.Parse("defaults", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

const docsPath = "../../docs/config.md"

// row is a line of a table of keys. Its last group is what a person wrote.
var row = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|[^|\n]*\\|[^|\n]*\\|[^|\n]*\\|([^|\n]+)\\|$")

// TestDocs_HaveEveryKey compares the tables of docs/config.md with the tags. The flag
// -update writes the columns type, default and live.
func TestDocs_HaveEveryKey(t *testing.T) {
	old, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, k := range allKeys() {
		lines[k.name] = k.docs()
	}
	missing := map[string]string{}
	for name, line := range lines {
		missing[name] = line
	}
	now := row.ReplaceAllStringFunc(string(old), func(line string) string {
		parts := row.FindStringSubmatch(line)
		want, known := lines[parts[1]]
		if !known {
			t.Errorf("docs/config.md has %s, which is no key", parts[1])
			return line
		}
		delete(missing, parts[1])
		want += parts[2] + "|"
		if line != want && !*update {
			t.Errorf("docs/config.md has\n%s\nwant\n%s\n(go test ./supervisor/config -run Docs -update writes it)", line, want)
		}
		return want
	})
	for _, line := range missing {
		t.Errorf("docs/config.md has no row for a key: add %s what it does |", line)
	}
	if *update {
		if err := os.WriteFile(docsPath, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// docs returns the beginning of the key's row in the documentation.
func (k key) docs() string {
	initial := "`" + k.initial + "`"
	if inner, ok := strings.CutPrefix(k.initial, "("); ok {
		initial = strings.TrimSuffix(inner, ")")
	}
	live := map[string]string{
		"yes": "yes", "no": "new workers", "wsgi app": "yes; built-in apps: new workers", "apps app": "yes; Python: new workers",
	}[k.live]
	if live == "new workers" && slices.Contains(topNames, k.name) {
		live = "new start"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", k.name, k.typeName, initial, live)
}

// TestDocs_ExamplesLoad loads every example, and looks for the keys of each section's
// tables in its examples.
func TestDocs_ExamplesLoad(t *testing.T) {
	text, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	dir := project(t)
	write(t, dir+"/shop.env", "A=b\n", 0o600)
	write(t, dir+"/busy.html", "<p>busy</p>\n", 0o600)
	write(t, dir+"/staff.htpasswd", "alice:$2y$05$"+strings.Repeat("a", 53)+"\n", 0o600)
	t.Setenv("PATH", dir+"/venv/bin")
	fence := regexp.MustCompile("(?s)```toml\n(.*?)```")
	if fence.FindString(string(text)) == "" {
		t.Fatal("docs/config.md has no example")
	}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		examples := ""
		for _, match := range fence.FindAllStringSubmatch(section, -1) {
			examples += match[1]
			_, err := Parse(filepath.Join(dir, "sites.toml"), []byte(match[1]))
			for _, line := range report(dir, err) {
				if !dependsOnTheMachine.MatchString(line) {
					t.Errorf("%s\n%s", line, match[1])
				}
			}
		}
		for _, match := range row.FindAllStringSubmatch(section, -1) {
			if !regexp.MustCompile(`(?m)(^|\[.*\.|\{ |, )` + match[1] + `( *=|[\].])`).MatchString(examples) {
				t.Errorf("no example of the section has the key %s", match[1])
			}
		}
	}
}

// dependsOnTheMachine matches the problems of an example that is right elsewhere.
var dependsOnTheMachine = regexp.MustCompile(`: no site \[|there is no (user|group)|needs multisite to run as root|not in group|needs what is in state_dir|may not (enter|read)|include: no such file`)
