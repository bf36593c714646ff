package unixsock

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListen_AnyPathLength(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		pad  int
	}{{"short", 1}, {"around the limit", 80}, {"long", 200}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), strings.Repeat("d", test.pad))
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "w.sock")
			l := listener(t, path)
			defer l.Close()
			conn, err := Dial(t.Context(), path)
			if err != nil {
				t.Fatalf("dial %d bytes of path: %v", len(path), err)
			}
			defer conn.Close()
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("got mode %v (%v), want 0600", st.Mode(), err)
			}
		})
	}
}

func TestListen_ReplacesStaleButNotLiveSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.sock")
	l := listener(t, path)
	if _, err := Listen(path, 1); !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v on a live socket, want %v", err, ErrInUse)
	}
	l.Close() // the file stays: a stale socket
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	listener(t, path).Close()
}

func TestListen_NamesThePath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "absent", "w.sock")
	_, err := Listen(path, 1)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v, want an error with %s", err, path)
	}
}

// listener turns the file of Listen into a net.Listener that keeps the socket file.
func listener(t *testing.T, path string) net.Listener {
	t.Helper()
	f, err := Listen(path, 8)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
