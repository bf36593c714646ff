package wsgi

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestInstallCode_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "python")
	homes := make([]string, 8)
	var wg sync.WaitGroup
	for i := range homes {
		wg.Go(func() {
			var err error
			if homes[i], err = installCode(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, home := range homes {
		if home != homes[0] {
			t.Errorf("installed in %s and in %s", homes[0], home)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries in %s, %v, want the one directory", len(entries), dir, err)
	}
	wantWholeCode(t, homes[0])
}

// wantWholeCode checks that every file is there, for other users too.
func wantWholeCode(t *testing.T, home string) {
	t.Helper()
	files, err := python.ReadDir(packageDir)
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		path := filepath.Join(home, file.Name())
		want, err := python.ReadFile(packageDir + "/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %d bytes, %v, want %d", path, len(got), err, len(want))
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o444 != 0o444 {
			t.Errorf("%s has mode %v: other users cannot read it", path, info.Mode())
		}
	}
	if info, err := os.Stat(filepath.Dir(home)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%s: %v, %v, want mode 0755", filepath.Dir(home), info.Mode(), err)
	}
}

// TestInstallCode_Once: installed code is not touched again, since workers of another
// supervisor may run it.
func TestInstallCode_Once(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	home, err := installCode(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(home)
	if err != nil {
		t.Fatal(err)
	}
	again, err := installCode(dir)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(again)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("%s was made anew: %v", again, err)
	}
}
