package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mergeSites = `
listen = "127.0.0.1:0"
merge_pages = true
[site.shop]
server_name = "shop.example.com"
wsgi = "shop.wsgi"
python_home = "${VENV}"
processes = 2
[site.shop.service.other]
command = "sleep 1000"
`

// TestMergePages_ReloadTurnsItOff: workers take part as long as the key is there, and
// services never do. The kernel's switch is the machine's, so other tests change it, too.
func TestMergePages_ReloadTurnsItOff(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/kernel/mm/ksm/run"); err != nil {
		t.Skip("this kernel merges no pages: ", err)
	}
	dir := newDir(t, mergeSites)
	app := "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
	if err := os.WriteFile(filepath.Join(dir, "shop.wsgi"), []byte(app), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRunning(t, dir)
	r.start()
	t.Cleanup(r.finish)
	r.wantMerging(true)
	r.rewrite("merge_pages = true", "merge_pages = false")
	if got, want := r.must("reload"), "shop: new workers, generation 2 (merge_pages changed)\n"; !strings.HasPrefix(got, want) {
		t.Errorf("reload wrote %q, want %q", got, want)
	}
	r.wantMerging(false)
	if _, err := os.Stat(filepath.Join(dir, ".multisite", "ksm")); err == nil {
		t.Error("what was turned on for the key stays on without it")
	}
}

// wantMerging checks who has opted in.
func (r *running) wantMerging(want bool) {
	r.t.Helper()
	st := r.status()
	if got := st.Supervisor.Merging != nil; got != want {
		r.t.Errorf("status has merging: %v, want %v", got, want)
	}
	shop := r.site("shop")
	for _, w := range shop.Workers {
		if got := optedIn(r.t, w.PID); got != want {
			r.t.Errorf("worker %s has opted in: %v, want %v", w.ID, got, want)
		}
	}
	if optedIn(r.t, shop.Services[0].PID) || optedIn(r.t, st.Supervisor.PID) {
		r.t.Error("the service or the supervisor has opted in")
	}
}

// optedIn reports whether the kernel may merge pages of a process.
func optedIn(t testing.TB, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(" mg "))
}
