package account

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("this system has no user nobody: names are not looked up here")
	}
	byName, err := Find("nobody")
	if err != nil || byName.Name != "nobody" || byName.Home != nobody.HomeDir || !byName.HasGroup() || len(byName.Groups) == 0 {
		t.Errorf("by name: %+v, %v", byName, err)
	}
	byNumber, err := Find(nobody.Uid)
	if err != nil || byNumber.Key() != byName.Key() || byNumber.Name != "nobody" {
		t.Errorf("by number: %+v, %v", byNumber, err)
	}
	stranger, err := Find("3000000001")
	if err != nil || stranger.UID != 3000000001 || stranger.HasGroup() || stranger.Home != "/" {
		t.Errorf("a number without a user: %+v, %v", stranger, err)
	}
	if _, err := Find("no-such-user"); err == nil || !strings.Contains(err.Error(), `no user "no-such-user"`) {
		t.Errorf("no such user: %v", err)
	}
	for _, root := range []string{"root", "0"} {
		if _, err := Find(root); !errors.Is(err, ErrRoot) {
			t.Errorf("%s: %v", root, err)
		}
	}
	if _, err := FindGroup("no-such-group"); err == nil || !strings.Contains(err.Error(), `no group "no-such-group"`) {
		t.Errorf("no such group: %v", err)
	}
	if gid, err := FindGroup("4711"); gid != 4711 || err != nil {
		t.Errorf("a group by number: %d, %v", gid, err)
	}
	if a, err := Find("4294967295"); err == nil {
		t.Errorf("the number that means no change: %+v", a)
	}
}

// stranger is a user that owns nothing.
var stranger = &Account{Name: "stranger", UID: 4711, GID: 4712, Groups: []int{4713}}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: nothing is done here with another user's rights")
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // it belongs to this test alone
		t.Fatal(err)
	}
	write := func(name string, mode os.FileMode, gid int) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600), os.Chmod(path, mode), os.Chown(path, -1, gid)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, closed := write("open", 0o644, 0), write("closed", 0o600, 0)
	grouped := write("grouped", 0o640, 4713)
	inside := write("locked/sub/inside", 0o755, 0)
	locked, link := filepath.Join(dir, "locked"), filepath.Join(dir, "link")
	if err := errors.Join(os.Chmod(locked, 0o700), os.Symlink(filepath.Join(locked, "sub"), link)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		want       Access
		message    string
	}{
		{"a file for all", open, Read, ""},
		{"a file of root", closed, Read, `user "stranger" may not read ` + closed},
		{"a file of a supplementary group", grouped, Read, ""},
		{"not a program", open, Run, `user "stranger" may not run ` + open},
		{"a directory for all", dir, Run, ""},
		{"a directory of root", locked, Run, `user "stranger" may not enter ` + locked},
		{"a file in it", inside, Run, `user "stranger" may not enter ` + locked},
		{"through a link", filepath.Join(link, "inside"), Read, `user "stranger" may not enter ` + locked},
		{"nothing", filepath.Join(dir, "nothing", "here"), Read, ""},
	} {
		got := ""
		if err := stranger.May(tt.want, tt.path); err != nil {
			got = err.Error()
		}
		if got != tt.message {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.message)
		}
		if err := (*Account)(nil).May(tt.want, tt.path); err != nil {
			t.Errorf("%s: the user that runs multisite: %v", tt.name, err)
		}
	}
}

// TestDo_IsForOneThread: other goroutines meanwhile, and this one afterwards, have root's
// rights.
func TestDo_IsForOneThread(t *testing.T) {
	t.Parallel()
	needRoot(t)
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			var inside error
			if err := stranger.Do(func() { _, inside = os.ReadFile(path) }); err != nil {
				t.Error(err)
			}
			if !errors.Is(inside, os.ErrPermission) {
				t.Errorf("a stranger reads: %v", inside)
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := os.ReadFile(path); err != nil {
					t.Errorf("root reads: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
