package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/multisite/multisite/apps/tomlfile"
)

// TestLoad_Problems loads the sites.toml of each story in testdata/problems. A story is a
// directory of an archive, and its file "want" has the problems as a user reads them,
// each with its hint below. DIR is the directory, which has the files of project as
// well. The flag -update writes what Load says.
func TestLoad_Problems(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			runStories(t, archive)
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// runStories runs each story of an archive. With -update it changes their "want".
func runStories(t *testing.T, archive *txtar.Archive) {
	dirs := map[string]string{}
	for _, file := range archive.Files {
		story, name, _ := strings.Cut(file.Name, "/")
		if dirs[story] == "" {
			dirs[story] = project(t)
		}
		if name != "want" {
			write(t, filepath.Join(dirs[story], name), string(file.Data), 0o644)
		}
	}
	ran := 0
	for i, file := range archive.Files {
		story, name, _ := strings.Cut(file.Name, "/")
		if name != "want" {
			continue
		}
		ran++
		t.Run(story, func(t *testing.T) {
			dir := dirs[story]
			_, err := Load(filepath.Join(dir, "sites.toml"))
			got := asRead(dir, err)
			if *update {
				archive.Files[i].Data = []byte(got)
			} else if got != string(file.Data) {
				t.Errorf("got:\n%s\nwant:\n%s", got, file.Data)
			}
		})
	}
	if ran == 0 || ran != len(dirs) {
		t.Errorf("%d of %d stories have a file want", ran, len(dirs))
	}
}

// asRead returns the problems with each hint on a line of its own.
func asRead(dir string, err error) string {
	problems, _ := errors.AsType[tomlfile.Problems](err)
	var text strings.Builder
	for _, p := range problems {
		text.WriteString(p.Error() + "\n")
		if p.Hint != "" {
			text.WriteString("    hint: " + p.Hint + "\n")
		}
	}
	return strings.NewReplacer("\n"+dir+"/", "\n", dir, "DIR").Replace("\n" + text.String())[1:]
}

func TestNormalizeName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"Example.COM": "example.com", "a.": "a", "a:80": "a", "a.:80": "a", "*.A.com": "*.a.com", "under_score.x-y": "under_score.x-y",
		"127.0.0.1:80": "127.0.0.1", "[::1]": "[::1]", "[0::0:1]:80": "[::1]", "::1": "[::1]", long + ".x": long + ".x",
		"": "", ".": "", "a..": "", ".a": "", "*": "", "*.": "", "*.*.a": "", "a.*": "", "*a.b": "", "a b": "", "a/b": "", "a\tb": "",
		"[::1": "", "[a]": "", "[1.2.3.4]": "", "[fe80::1%eth0]": "", "a:b": "", "user@a": "", "ä.de": "",
		long + "a": "", strings.Repeat("a.", 127) + "a": "",
	} {
		got, hint := normalizeName(name)
		if got != want || (want == "") != (hint != "") {
			t.Errorf("%q: got %q, hint %q, want %q", name, got, hint, want)
		}
		if again, _ := normalizeName(got); want != "" && again != got {
			t.Errorf("%q: normalised twice is %q, want %q", name, again, got)
		}
	}
}
