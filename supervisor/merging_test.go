package supervisor

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/ksm"
	"github.com/multisite/multisite/supervisor/status"
)

// newMerging returns a merging with a kernel of files in a directory, whose switch is off.
func newMerging(t *testing.T) *merging {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"run": "0\n", "proc/7/comm": "qemu\n", "proc/7/ksm_stat": "ksm_merge_any: no\nksm_mergeable: no\n", "proc/7/ksm_merging_pages": "2\n", "pages_sharing": "1\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &merging{
		kernel: ksm.Switch{Kernel: ksm.Kernel{Sys: dir, Proc: filepath.Join(dir, "proc")}, Marker: filepath.Join(dir, "marker")},
		log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func mergePages(on bool) *config.Config {
	return &config.Config{MergePages: on, Sites: []*config.Site{{Name: "shop", MergePages: on}}}
}

// TestMerging_FollowsTheKey: the switch is on as long as the key is.
func TestMerging_FollowsTheKey(t *testing.T) {
	t.Parallel()
	m := newMerging(t)
	for _, step := range []struct {
		key, on bool
		changed string
	}{{false, false, ""}, {true, true, "turned on"}, {true, true, ""}, {false, false, "turned off again"}, {false, false, ""}} {
		got := m.apply(mergePages(step.key))
		if !strings.HasSuffix(got, step.changed) || (got == "") != (step.changed == "") || m.kernel.On() != step.on {
			t.Errorf("key %v: %q, on %v; want %q, %v", step.key, got, m.kernel.On(), step.changed, step.on)
		}
	}
	m.apply(mergePages(true))
	if m.off(); m.kernel.On() {
		t.Error("it stays on at the end")
	}
}

// TestMerging_AnotherUser: while a process of another user merges, no worker does.
func TestMerging_AnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: only root sees what other users do")
	}
	m := newMerging(t)
	shop := mergePages(true).Sites[0]
	if !m.allowed(shop) || m.allowed(mergePages(false).Sites[0]) {
		t.Error("a site is allowed to merge if and only if it has the key")
	}
	stat := filepath.Join(m.kernel.Kernel.Proc, "7", "ksm_stat")
	if err := os.WriteFile(stat, []byte("ksm_merge_any: no\nksm_mergeable: yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Dir(stat), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	m.asked = time.Time{} // some seconds later
	if m.allowed(shop) {
		t.Error("allowed beside another user")
	}
	if got := m.apply(mergePages(true)); got != "" || m.kernel.On() {
		t.Errorf("%q, on %v", got, m.kernel.On())
	}
	var st status.Status
	m.status(&st, nil)
	if want := "process 7 (qemu) of user 65534 merges its pages, too"; st.Supervisor.Merging.Problem != want {
		t.Errorf("problem %q, want %q", st.Supervisor.Merging.Problem, want)
	}
}

func TestMerging_Status(t *testing.T) {
	t.Parallel()
	m := newMerging(t)
	m.apply(mergePages(true))
	st := status.Status{Sites: []status.Site{{Workers: []status.Worker{{PID: 7}}}}}
	m.status(&st, []int{7})
	page := int64(os.Getpagesize())
	if got := *st.Supervisor.Merging; got != (status.Merging{On: true, Merged: 4 * page, Saved: page}) || st.Sites[0].Workers[0].Merged != 2*page {
		t.Errorf("got %+v and %d of the worker", got, st.Sites[0].Workers[0].Merged)
	}
}
