package code

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPaths: the target that a link gets later does not matter, as long as the first
// one exists.
func TestPaths(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	in := func(path string) string { return filepath.Join(base, path) }
	for _, release := range []string{"1", "2"} {
		write(t, base, "releases/"+release+"/lib/x.py", "x")
		write(t, base, "releases/"+release+"/venv/bin/python", "")
	}
	symlink(t, "releases/1", in("current"))
	symlink(t, "/usr/bin/env", in("releases/1/app.wsgi"))
	s := ResolvePaths([]string{in("current"), in("current/lib"), in("current/venv/bin"), in("missing"), ".", ""})
	if len(s) != 3 {
		t.Errorf("got %v, want the three that lead through the link", s)
	}
	if err := os.Remove(in("current")); err != nil {
		t.Fatal(err)
	}
	symlink(t, "releases/2", in("current"))
	for path, want := range map[string]string{
		in("current"):                 in("releases/1"),
		in("current/lib"):             in("releases/1/lib"),
		in("current/app.wsgi"):        in("releases/1/app.wsgi"), // its own name counts, it may be a link
		in("current/venv/bin/python"): in("releases/1/venv/bin/python"),
		in("elsewhere"):               in("elsewhere"),
		"module:application":          "module:application",
	} {
		if got := s.At(path); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	if err := os.RemoveAll(in("releases/1")); err != nil {
		t.Fatal(err)
	}
	if got := s.At(in("current/lib")); got != in("current/lib") {
		t.Errorf("its release is removed: at %s", got)
	}
}
