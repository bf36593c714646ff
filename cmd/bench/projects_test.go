package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSameBodies(t *testing.T) {
	t.Parallel()
	want := map[string]string{"/a": "one", "/b": "two"}
	for _, tt := range []struct {
		name string
		got  map[string]string
		text string
	}{
		{"all are", map[string]string{"/a": "one", "/b": "two"}, "2 of 2"},
		{"one differs", map[string]string{"/a": "one", "/b": "three"}, "1 of 2, not /b"},
		{"one is missing there", map[string]string{"/c": "one"}, "0 of 1, not /c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sameBodies(tt.got, want); got != tt.text {
				t.Errorf("got %q, want %q", got, tt.text)
			}
		})
	}
}

func TestToken_IsWhatDiffersInEachAnswer(t *testing.T) {
	t.Parallel()
	form := func(token string) string { return `<input name="csrfmiddlewaretoken" value="` + token + `">` }
	one := token.ReplaceAllString(form("gxK1nFZVZ1JpTgF0yYkPcWq0bAqXh8dS"), `"`)
	other := token.ReplaceAllString(form("Zq7nFZVZ1JpTgF0yYkPcWq0bAqXh8aaa"), `"`)
	if one != other {
		t.Errorf("%q differs from %q", one, other)
	}
	if text := `<title>Article 3</title>`; token.ReplaceAllString(text, `"`) != text {
		t.Error("text was taken for a token")
	}
}

// TestAllPublished_IsWhatTheDirectoryHas: each project pins what it installs.
func TestAllPublished_IsWhatTheDirectoryHas(t *testing.T) {
	t.Parallel()
	dirs, err := os.ReadDir("projects")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		names = append(names, d.Name())
	}
	var known []string
	for _, p := range allPublished() {
		known = append(known, p.name)
		if len(p.pages(1)) == 0 {
			t.Errorf("%s has no pages", p.name)
		}
		if _, err := os.Stat(filepath.Join("projects", p.name, "requirements.txt")); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(known)
	if !slices.Equal(names, known) {
		t.Errorf("projects has %q, allPublished has %q", names, known)
	}
}

func TestSumOf_ChangesWithTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sum, err := sumOf(dir)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	one, other := write("Flask==3.1.3\n"), write("Flask==3.1.2\n")
	if one == other || one != write("Flask==3.1.3\n") {
		t.Errorf("got %s for one version and %s for another", one, other)
	}
}
