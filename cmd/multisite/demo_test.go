package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUp_Demo starts two sites in an empty directory. From then on the file belongs to the
// user: an upgrade does not touch it.
func TestUp_Demo(t *testing.T) {
	t.Parallel()
	dir := newDir(t, "")
	if err := os.Remove(filepath.Join(dir, "sites.toml")); err != nil {
		t.Fatal(err)
	}
	door := listenFile(t, "tcp", "127.0.0.1:0") // the port in the file may be taken
	r := &running{t: t, dir: dir, out: &screen{}, log: &screen{}, flags: []string{"--demo"}, files: []*os.File{door.file}}
	r.start()
	defer r.finish()
	wantSites := func() {
		t.Helper()
		for _, host := range []string{"subdomain1.localhost", "subdomain2.localhost"} {
			if got := r.get(host, "/"); got.status != 200 {
				t.Errorf("%s: status %d", host, got.status)
			}
		}
	}
	wantSites()
	r.must("manage", "subdomain1", "migrate")
	r.edit(t, "processes = 2", "processes = 1")
	r.upgrade()
	wantSites()
	if got := r.site("subdomain2").Processes.Desired; got != 1 {
		t.Errorf("%d processes, want what the file says by now", got)
	}
}
