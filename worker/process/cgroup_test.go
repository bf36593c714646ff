package process

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCgroupDir(t *testing.T) {
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
			got, err := cgroupDir(tt.mounts, tt.membership)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// tree makes a directory with the files that the kernel puts into a control group.
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

func TestTakeOver_EnablesTheController(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir())
	own := tree(t, filepath.Join(dir, supervisorCgroup))
	left := filepath.Join(dir, workerCgroup+"7")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := takeOver(dir, "memory")
	if err != nil || g.dir != dir {
		t.Fatalf("got %+v, %v", g, err)
	}
	wantFile(t, dir, "cgroup.subtree_control", "+memory")
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed supervisor has left is still there")
	}
	if again, err := takeOver(own, "memory"); err != nil || again.dir != dir {
		t.Errorf("the second time: got %+v, %v", again, err)
	}
}

func TestTakeOver_LeavesAGroupThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for missing, file := range map[string]string{"the controller": "cgroup.controllers", "the right": "cgroup.subtree_control"} {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, t.TempDir())
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
			if g, err := takeOver(dir, "memory"); err == nil {
				t.Errorf("got %+v", g)
			}
		})
	}
}

func TestMoveDown(t *testing.T) {
	t.Parallel()
	me := strconv.Itoa(os.Getpid())
	child := strconv.Itoa(startScript(t, "exec sleep 1000", nil).PID())
	other := strconv.Itoa(os.Getppid())
	for _, tt := range []struct {
		name, procs string
		busy        int // how often the kernel finds a process that was forked meanwhile
		ok          bool
		dir, own    string // the last contents
	}{
		{"at once", me + "\n" + child, 0, true, me + "\n" + child, child},
		{"the second time", child, 1, true, child, child},
		{"never", child, 100, false, child, child},
		{"a container", "1\n" + other, 0, true, "1\n" + other, other},
		{"somebody else's", me + "\n" + other, 0, false, me + "\n" + other, ""},
		{"of another namespace", "0", 0, false, "0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, t.TempDir())
			own := tree(t, filepath.Join(dir, supervisorCgroup))
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(tt.procs), 0o600); err != nil {
				t.Fatal(err)
			}
			tries := 0
			err := moveDown(dir, func() error {
				if tries++; tries <= tt.busy {
					return unix.EBUSY
				}
				return nil
			})
			if (err == nil) != tt.ok {
				t.Errorf("got %v after %d tries", err, tries)
			}
			wantFile(t, dir, "cgroup.procs", tt.dir)
			wantFile(t, own, "cgroup.procs", tt.own)
		})
	}
}

func TestCgroup_LimitsAndReportsTheKill(t *testing.T) {
	t.Parallel()
	g := &Cgroups{t.TempDir()}
	p := startScript(t, "exec sleep 1000", nil)
	one := tree(t, filepath.Join(t.TempDir(), "one"))
	p.cgroup = &cgroup{one}
	if err := p.Limit(Limits{Memory: 300 * mb, Cgroups: g}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, one, "memory.max", strconv.Itoa(300*mb))
	if err := p.Limit(Limits{}); err != nil { // without a bound no Cgroups are given
		t.Fatal(err)
	}
	wantFile(t, one, "memory.max", "max")
	if err := os.WriteFile(filepath.Join(one, "memory.events"), []byte("oom 3\noom_kill 1\noom_group_kill 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	<-p.Done()
	if !p.OOM() {
		t.Error("the kill is not reported")
	}
	wantFile(t, one, "cgroup.kill", "1")
}

// kernelCgroup makes a real control group below the one reserved for tests, and returns
// one of the controllers that it can have.
func kernelCgroup(t *testing.T) (dir, controller string) {
	t.Helper()
	parent := os.Getenv("MULTISITE_TEST_CGROUP")
	if parent == "" {
		t.Skip("MULTISITE_TEST_CGROUP names no control group of version 2 that is reserved for tests")
	}
	dir, err := os.MkdirTemp(parent, "process")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, group := range []string{filepath.Join(dir, supervisorCgroup), dir} {
			if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil || len(b) < 2 {
		t.Fatalf("%s has no controller: %v", parent, err)
	}
	if controller = "memory"; !hasWord(dir, "cgroup.controllers", controller) {
		controller = strings.Fields(string(b))[0]
	}
	return dir, controller
}

// The kernel refuses a controller to a group in which anything runs.
func TestTakeOver_OfTheKernel(t *testing.T) {
	t.Parallel()
	dir, controller := kernelCgroup(t)
	var pids []string
	for range 3 {
		p := startScript(t, "exec sleep 1000", nil)
		pids = append(pids, strconv.Itoa(p.PID()))
		if err := writeFile(dir, "cgroup.procs", pids[len(pids)-1]); err != nil {
			t.Fatal(err)
		}
	}
	g, err := takeOver(dir, controller)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, dir, "cgroup.subtree_control", controller)
	slices.SortFunc(pids, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	wantFile(t, filepath.Join(dir, supervisorCgroup), "cgroup.procs", strings.Join(pids, "\n"))
	again, err := takeOver(filepath.Join(dir, supervisorCgroup), controller)
	if err != nil || again.dir != g.dir {
		t.Errorf("after an upgrade: got %+v, %v", again, err)
	}
}

func TestCgroups_OfTheKernel(t *testing.T) {
	t.Parallel()
	dir, controller := kernelCgroup(t)
	if controller != "memory" {
		t.Skip("no memory controller in MULTISITE_TEST_CGROUP")
	}
	g, err := takeOver(dir, controller)
	if err != nil {
		t.Fatal(err)
	}
	_, p := startGo(t, "grow")
	if err := p.Limit(Limits{Memory: 100 * mb, Cgroups: g}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, p.cgroup.dir, "memory.max", strconv.Itoa(100*mb))
	_ = p.Signal(10) // SIGUSR1: go on
	<-p.Done()
	if !p.OOM() || p.Exit().Signal != 9 {
		t.Errorf("got %v, %v", p.OOM(), p.Exit())
	}
	if _, err := os.Stat(p.cgroup.dir); err == nil {
		t.Error("its group is still there")
	}
}
