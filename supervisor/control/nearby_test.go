package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestNearby: a supervisor whose state directory cannot be found by its name any more
// is found by its sites.toml, and only by that.
func TestNearby(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	in := func(path string) string { return filepath.Join(base, path) }
	for _, dir := range []string{"r1", "r2", "r3"} {
		if err := os.Mkdir(in(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(in(dir+"/sites.toml"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("r2", in("current")); err != nil {
		t.Fatal(err)
	}
	l, err := ListenNearby()
	if err != nil {
		t.Fatal(err)
	}
	about := About{PID: os.Getpid(), Config: in("current/sites.toml"), Says: in("current/.multisite"), StateDir: in("r1/.multisite")}
	server := NewServer(l, &fake{about: about}, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	for _, tt := range []struct {
		name, config, stateDir string
		found                  bool
	}{
		{"by the link", "current/sites.toml", "current/.multisite", true},
		{"by where it leads", "r2/sites.toml", "r2/.multisite", true},
		{"of another release", "r3/sites.toml", "r3/.multisite", false},
		{"of one file, with a state directory of its own", "current/sites.toml", "other", false},
	} {
		got, err := NewClientOf(in(tt.stateDir), in(tt.config)).About(t.Context())
		if found := err == nil && got == about; found != tt.found || !found && !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	server.Close(context.Background())
	if err := <-served; err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestNearby_StrangeNames: sockets with strange names, which any user can create, do not
// break the search.
func TestNearby_StrangeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"\n\n", "\n" + nearbyName() + "1", "\n" + nearbyName() + "1 2 3 00010000 5 6 7 8\n"} {
		l, err := net.Listen("unix", fmt.Sprintf("@multisite-test-%d%s", os.Getpid(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	dir := t.TempDir()
	if _, err := NewClientOf(dir, filepath.Join(dir, "sites.toml")).About(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}
