package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestMake_IgnoresTheUmask is not parallel: the umask is that of the process.
func TestMake_IgnoresTheUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := t.TempDir()
	state, logs := filepath.Join(dir, "new", "state"), filepath.Join(dir, "new", "logs")
	if err := errors.Join(Make(state), MakeLogs(logs)); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, state); got != 0o711 {
		t.Errorf("the state directory has mode %o, want 711: users of sites pass through it", got)
	}
	if got := mode(t, logs); got != 0o700 {
		t.Errorf("the log directory has mode %o, want 700", got)
	}
}

func TestMake_DoesNotChangeAnExistingOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Make(dir); err != nil || mode(t, dir) != 0o700 {
		t.Errorf("%v, mode %o, want the 700 that it had", err, mode(t, dir))
	}
}

func TestMake_Refuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		root    bool // only root minds, or can prepare it
		prepare func(state string) error
		reason  string
		hint    string
	}{
		{"a file", false, func(s string) error { return os.WriteFile(s, nil, 0o600) }, "STATE is not a directory", ""},
		{"a link", false, func(s string) error { return os.Symlink(filepath.Dir(s), s) }, "STATE is a symbolic link", "as state_dir in sites.toml"},
		{"a link in it", false, func(s string) error {
			return errors.Join(os.Mkdir(s, 0o711), os.Symlink(filepath.Dir(s), filepath.Join(s, "spool")))
		}, "STATE/spool is a symbolic link", "as state_dir in sites.toml"},
		{"another user's", true, func(s string) error { return errors.Join(os.Mkdir(s, 0o711), os.Chown(s, 4711, 4711)) },
			"STATE belongs to user 4711, not to root", "run multisite as user 4711"},
		{"open to all", true, func(s string) error { return errors.Join(os.Mkdir(s, 0o711), os.Chmod(s, 0o777)) },
			"everybody may write in STATE", "chmod o-w STATE"},
		{"in a directory open to all", true, func(s string) error { return os.Chmod(filepath.Dir(s), 0o777) },
			"everybody may rename what is in PARENT", "chmod o-w PARENT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.root && os.Geteuid() != 0 {
				t.Skip("not root")
			}
			state := filepath.Join(t.TempDir(), "state")
			if err := tt.prepare(state); err != nil {
				t.Fatal(err)
			}
			names := strings.NewReplacer("STATE", state, "PARENT", filepath.Dir(state))
			err := Make(state)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.HasSuffix(refused.Error(), " refused: "+names.Replace(tt.reason)) || !strings.Contains(refused.Hint, names.Replace(tt.hint)) {
				t.Errorf("got %v, %+v, want %q and the hint %q", err, refused, tt.reason, tt.hint)
			}
		})
	}
}

// TestKeep_MakesItAgain: Keep makes the state directory again, with the directories
// that a running supervisor needs.
func TestKeep_MakesItAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "release", "state")
	for range 2 {
		if err := Keep(dir); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{dir: 0o711, filepath.Join(dir, RunDir): 0o700, filepath.Join(dir, SpoolDir): 0o700} {
			if got := mode(t, path); got != want {
				t.Errorf("%s has mode %o, want %o", path, got, want)
			}
		}
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeep_LooksNoFurtherWhileItIsThere: Keep looks into no directory that is there, so
// that a running supervisor is not stopped by what only a start refuses.
func TestKeep_LooksNoFurtherWhileItIsThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	if err := Keep(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, logsDir)); err != nil {
		t.Fatal(err)
	}
	if err := Keep(dir); err != nil {
		t.Error(err)
	}
	var refused *RefusedError
	if err := Make(dir); !errors.As(err, &refused) {
		t.Errorf("a start gets %v, want that it is refused", err)
	}
}

// TestCodeDir is one of the directories that Make checks.
func TestCodeDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	if err := errors.Join(Make(dir), os.Symlink("/", CodeDir(dir))); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := Make(dir); !errors.As(err, &refused) {
		t.Errorf("a link in its place: %v, want that it is refused", err)
	}
}

func TestKeepLogs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	for range 2 { // the second finds it
		if err := KeepLogs(dir); err != nil || mode(t, dir) != 0o700 {
			t.Errorf("%v, mode %o", err, mode(t, dir))
		}
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", dir); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := KeepLogs(dir); !errors.As(err, &refused) {
		t.Errorf("a link to nothing: %v, want that it is refused", err)
	}
}
