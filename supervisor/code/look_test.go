package code

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestLook_SharesWhatIsTheSame: a place is read once for all sites, and a part that has
// not changed is that of the running sites.
func TestLook_SharesWhatIsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "same/a.py", "a")
	write(t, dir, "changed/b.py", "b")
	same, changed := Place{Directory, filepath.Join(dir, "same")}, Place{Directory, filepath.Join(dir, "changed")}
	first := NewLook()
	running := first.Tree([]Place{same, changed})
	if again := first.Tree([]Place{same}); again[0] != running[0] {
		t.Error("one look has two parts for one place")
	}
	write(t, dir, "changed/b.py", "longer than before")
	now := NewLook(running).Tree([]Place{same, changed})
	if now[0] != running[0] {
		t.Error("a part that has not changed is held twice")
	}
	if now[1] == running[1] || now.Equal(running) {
		t.Error("a part that has changed is the old one")
	}
}

// TestLook_SeesNewDirectories: an empty directory is no change of the code, but it has
// to be watched.
func TestLook_SeesNewDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.py", "a")
	places := []Place{{Directory, dir}}
	before := NewLook().Tree(places)
	write(t, dir, "data/rows.db", "1")
	look := NewLook(before)
	if !look.Tree(places).Equal(before) {
		t.Error("a directory of data is a change of the code")
	}
	if dirs, _ := look.Watch(places); !slices.Contains(dirs, filepath.Join(dir, "data")) {
		t.Errorf("the new directory is not watched: %q", dirs)
	}
}

func TestLook_Files(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "there", "1")
	there, missing := filepath.Join(dir, "there"), filepath.Join(dir, "missing")
	files := func() Marks { return NewLook().Files([]string{there, missing}) }
	before := files()
	if len(before) != 1 || files().TouchedSince(before) {
		t.Errorf("nothing has changed: %v", before)
	}
	if !before.TouchedSince(nil) {
		t.Error("a new file was not touched")
	}
	touch(t, there)
	if !files().TouchedSince(before) {
		t.Error("a file with another time was not touched")
	}
	before = files()
	remove(t, there)
	if files().TouchedSince(before) {
		t.Error("a file that is gone was touched")
	}
}

func TestLook_Watch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(path string) string { return filepath.Join(dir, path) }
	write(t, dir, "releases/1/app/views.py", "")
	write(t, dir, "releases/1/.git/config", "")
	write(t, dir, "bin/python3", "")
	write(t, dir, "lib/python3.13/site-packages/django/__init__.py", "")
	write(t, dir, "touch/me", "")
	symlink(t, "releases/1", in("current"))
	dirs, matters := NewLook().Watch([]Place{{Directory, in("current")}, {Interpreter, in("bin/python3")}, {File, in("touch/me")}})
	want := []string{dir, in("bin"), in("lib/python3.13/site-packages"), in("releases/1"), in("releases/1/app"), in("touch")}
	if !slices.Equal(dirs, want) {
		t.Errorf("watches %q, want %q", dirs, want)
	}
	for path, want := range map[string]bool{
		in("current"):                                  true, // the link may get another target
		in("elsewhere"):                                false,
		in("releases/1/app/new.py"):                    true,
		in("releases/1/app/rows.db"):                   false,
		in("lib/python3.13/site-packages/flask"):       true,
		in("lib/python3.13/site-packages/__pycache__"): false,
		in("touch/me"):                                 true,
		in("touch/other"):                              false,
	} {
		if got := matters(path); got != want {
			t.Errorf("%s matters: %v, want %v", path, got, want)
		}
	}
}
