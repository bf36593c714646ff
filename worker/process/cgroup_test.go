package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestGroupDir(t *testing.T) {
	t.Parallel()
	const v1 = "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	const v2 = "31 25 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
	for _, tt := range []struct{ name, mounts, membership, want string }{
		{"a unit", v2, "0::/system.slice/multisite.service\n", "/sys/fs/cgroup/unified/system.slice/multisite.service"},
		{"both versions", v1 + v2, "4:memory:/a\n0::/b\n", "/sys/fs/cgroup/unified/b"},
		{"a namespace", v2, "0::/\n", "/sys/fs/cgroup/unified"},
		{"version 1 only", v1, "4:memory:/a\n", ""},
		{"not mounted", v1, "4:memory:/a\n0::/b\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := groupDir(tt.mounts, tt.membership)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// tree makes a directory with the files that the kernel puts into a group.
func tree(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "", "cgroup.kill": "",
		"memory.max": "max", "memory.swap.max": "max", "memory.oom.group": "0", "memory.events": "low 0\noom 0\noom_kill 0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func wantFile(t *testing.T, dir, file, want string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if got := strings.TrimSpace(string(b)); err != nil || got != want {
		t.Errorf("%s: got %q, %v, want %q", file, got, err, want)
	}
}

func TestTakeOver_MakesRoomForGroups(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir())
	own := tree(t, filepath.Join(dir, ownGroup))
	left := filepath.Join(dir, workerGroup+"7")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := takeOver(dir, 42)
	if err != nil || g.dir != dir {
		t.Fatalf("got %+v, %v", g, err)
	}
	wantFile(t, own, "cgroup.procs", "42")
	wantFile(t, dir, "cgroup.subtree_control", "+memory")
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed supervisor left is still there")
	}
	if again, err := takeOver(own, 42); err != nil || again.dir != dir {
		t.Errorf("the second time: got %+v, %v", again, err)
	}
}

func TestTakeOver_LeavesAGroupThatIsNotOurs(t *testing.T) {
	t.Parallel()
	t.Run("no memory controller", func(t *testing.T) {
		t.Parallel()
		dir := tree(t, t.TempDir())
		if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte("hugetlb\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := takeOver(dir, 42); err == nil {
			t.Errorf("got %+v", g)
		}
	})
	t.Run("others are in it", func(t *testing.T) { // the kernel refuses the controller
		t.Parallel()
		dir := tree(t, t.TempDir())
		tree(t, filepath.Join(dir, ownGroup))
		if err := os.Remove(filepath.Join(dir, "cgroup.subtree_control")); err != nil {
			t.Fatal(err)
		}
		if g, err := takeOver(dir, 42); err == nil {
			t.Errorf("got %+v", g)
		}
		wantFile(t, dir, "cgroup.procs", "42")
	})
}

func TestGroup_LimitsAndTellsOfTheKill(t *testing.T) {
	t.Parallel()
	g := &Groups{t.TempDir()}
	p := startScript(t, "exec sleep 1000", nil)
	one := tree(t, filepath.Join(t.TempDir(), "one"))
	p.group = &group{one}
	if err := p.Limit(Limits{Memory: 300 * mb, Groups: g}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, one, "memory.max", strconv.Itoa(300*mb))
	if err := p.Limit(Limits{}); err != nil { // nobody names groups who wants no bound
		t.Fatal(err)
	}
	wantFile(t, one, "memory.max", "max")
	if err := os.WriteFile(filepath.Join(one, "memory.events"), []byte("oom 3\noom_kill 1\noom_group_kill 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	<-p.Done()
	if !p.OOM() {
		t.Error("the kill is not told")
	}
	wantFile(t, one, "cgroup.kill", "1")
}

// The kernel itself, where it lets us: see OpenGroups.
func TestGroups_OfTheKernel(t *testing.T) {
	if os.Getenv("PROCESS_TEST_CGROUP") == "" {
		t.Skip("PROCESS_TEST_CGROUP=1, in a unit with Delegate=yes of its own, tries the kernel's groups")
	}
	g, err := OpenGroups()
	if err != nil {
		t.Fatal(err)
	}
	_, p := startGo(t, "grow")
	if err := p.Limit(Limits{Memory: 100 * mb, Groups: g}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, p.group.dir, "memory.max", strconv.Itoa(100*mb))
	_ = p.Signal(10) // SIGUSR1: go on
	<-p.Done()
	if !p.OOM() || p.Exit().Signal != 9 {
		t.Errorf("got %v, %v", p.OOM(), p.Exit())
	}
	if _, err := os.Stat(p.group.dir); err == nil {
		t.Error("its group is still there")
	}
}
