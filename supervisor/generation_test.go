package supervisor

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
)

func TestPlacesOf(t *testing.T) {
	t.Parallel()
	c := config.Site{Kind: config.WSGI, WSGI: "/a/app.wsgi", Settings: "shop.settings", Python: "/v/bin/python", PythonPath: []string{"/lib"}, Home: "/home"}
	want := []code.Place{{Kind: code.File, Path: "/a/app.wsgi"}, {Kind: code.Interpreter, Path: "/v/bin/python"}, {Kind: code.Directory, Path: "/lib"}, {Kind: code.Directory, Path: "/home"}}
	if got := placesOf(&c); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c = config.Site{Kind: config.Apps, Settings: "/a/site.toml", Home: "/home"}
	if got, want := placesOf(&c), []code.Place{{Kind: code.File, Path: "/a/site.toml"}}; !slices.Equal(got, want) {
		t.Errorf("a Go site: got %v, want %v", got, want)
	}
}

// TestPathsOf: directories are resolved, the last element of a file's path is not.
func TestPathsOf(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	in := func(path string) string { return filepath.Join(base, path) }
	write(t, base, "releases/1/venv/bin/python", "")
	for link, target := range map[string]string{"current": "releases/1", "releases/1/app.wsgi": "/usr/bin/env"} {
		if err := os.Symlink(target, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	paths := pathsOf(&config.Site{Kind: config.WSGI, Home: in("current"), WSGI: in("current/app.wsgi"), Python: in("current/venv/bin/python")})
	for path, want := range map[string]string{
		in("current"):                 in("releases/1"),
		in("current/app.wsgi"):        in("releases/1/app.wsgi"),
		in("current/venv/bin/python"): in("releases/1/venv/bin/python"),
	} {
		if got := paths.At(path); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
}

// TestGeneration_KeepsNoDirectoryOnceClosed: whoever keeps directories may have found the
// generation just before it was closed.
func TestGeneration_KeepsNoDirectoryOnceClosed(t *testing.T) {
	t.Parallel()
	g := &generation{sockets: filepath.Join(t.TempDir(), "run")}
	exists := func() bool {
		_, err := os.Stat(g.sockets)
		return err == nil
	}
	if err := g.keepSockets(); err != nil || !exists() {
		t.Errorf("not made: %v", err)
	}
	g.close()
	if err := g.keepSockets(); err != nil || exists() {
		t.Errorf("made again after close: %v", err)
	}
}
