package code

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestTree_NoticesCodeAndNothingElse: a reload replaces workers only if this does.
func TestTree_NoticesCodeAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string)
		want   bool
	}{
		{"nothing", func(*testing.T, string) {}, false},
		{"a module", func(t *testing.T, dir string) { write(t, dir, "app/views.py", "longer than before") }, true},
		{"a module of the same length and time", func(t *testing.T, dir string) {
			rewriteAsBefore(t, filepath.Join(dir, "app/views.py"), "new", false)
		}, true},
		{"another file of the same length and time in its place", func(t *testing.T, dir string) {
			rewriteAsBefore(t, filepath.Join(dir, "app/views.py"), "new", true)
		}, true},
		{"its time alone", func(t *testing.T, dir string) { touch(t, filepath.Join(dir, "app/views.py")) }, true},
		{"a new template", func(t *testing.T, dir string) { write(t, dir, "app/templates/new.html", "") }, true},
		{"a module that is gone", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "app/views.py")) }, true},
		{"a database", func(t *testing.T, dir string) { write(t, dir, "db.sqlite3", "rows") }, false},
		{"compiled code", func(t *testing.T, dir string) { write(t, dir, "app/__pycache__/views.py", "x") }, false},
		{"another environment", func(t *testing.T, dir string) {
			write(t, dir, "env/pyvenv.cfg", "")
			write(t, dir, "env/lib/x.py", "")
		}, false},
		{"another release", func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "current"))
			symlink(t, "releases/2", filepath.Join(dir, "current"))
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "app/views.py", "old")
			write(t, dir, "releases/1/x.py", "x")
			write(t, dir, "releases/2/x.py", "x")
			symlink(t, "releases/1", filepath.Join(dir, "current"))
			places := []Place{{Directory, filepath.Join(dir, "current")}, {Directory, dir}}
			before := NewLook().Tree(places)
			tt.change(t, dir)
			if changed := !before.Equal(NewLook().Tree(places)); changed != tt.want {
				t.Errorf("changed: %v, want %v", changed, tt.want)
			}
		})
	}
}

// TestTree_FromSums: what another process has seen compares like what was seen here.
func TestTree_FromSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "urls.py", "a = 1\n")
	places := []Place{{Interpreter, "/usr/bin/python3"}, {Directory, dir}}
	look := func() Tree { return NewLook().Tree(places) }
	sums := look().Sums()
	if again := FromSums(sums).Sums(); !slices.Equal(again, sums) {
		t.Errorf("handed over twice: %v, want %v", again, sums)
	}
	inherited := FromSums(sums)
	if !look().Equal(inherited) || !inherited.Equal(look()) {
		t.Error("the same code differs from its sums")
	}
	write(t, dir, "urls.py", "a = 1000\n")
	if look().Equal(inherited) {
		t.Error("changed code equals the sums from before")
	}
	if inherited.Equal(NewLook().Tree(places[:1])) {
		t.Error("a tree equals a part of it")
	}
}

// TestSum_JSON: another version of multisite reads it.
func TestSum_JSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal([]Sum{{File, "/a", "1"}, {Interpreter, "/b", "2"}, {Directory, "/c", "3"}})
	want := `[{"kind":0,"path":"/a","sum":"1"},{"kind":1,"path":"/b","sum":"2"},{"kind":2,"path":"/c","sum":"3"}]`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
}

func TestTree_Interpreter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const site = "lib/python3.13/site-packages/"
	write(t, dir, "bin/python3", "")
	write(t, dir, site+"django/__init__.py", "")
	places := []Place{{Interpreter, filepath.Join(dir, "bin/python3")}}
	before := NewLook().Tree(places)
	write(t, dir, site+"__pycache__/x.pyc", "")
	if !before.Equal(NewLook().Tree(places)) {
		t.Error("compiled code is a change")
	}
	write(t, dir, site+"flask-3.1.dist-info/METADATA", "")
	if before.Equal(NewLook().Tree(places)) {
		t.Error("an installed package is no change")
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

// rewriteAsBefore writes another text into a file, or puts another file in its place,
// and lets it have its old time.
func rewriteAsBefore(t *testing.T, path, text string, replace bool) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	into := path
	if replace {
		into += ".new"
	}
	if err := os.WriteFile(into, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(into, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(into, path); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
