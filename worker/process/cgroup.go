package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The names of control groups, below the one that this program was started in.
const (
	ownGroup    = "multisite.supervisor" // this process and what it starts: a group that has groups may not have processes
	workerGroup = "multisite.worker."    // and the number of the process
)

// Cgroups are control groups (cgroups(7), version 2), one for each process whose
// memory is bounded.
type Cgroups struct{ dir string }

// OpenCgroups takes over the control group of this process with all that runs in it. It
// must be ours to write and hold nobody else's process: a systemd unit with
// Delegate=yes, or a container of our own.
func OpenCgroups() (*Cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	dir, err := groupDir(string(mounts), string(membership))
	if err != nil {
		return nil, err
	}
	return takeOver(dir, "memory")
}

// groupDir returns the directory of a process's group, as its files in /proc tell.
func groupDir(mountinfo, membership string) (string, error) {
	for line := range strings.Lines(membership) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for mount := range strings.Lines(mountinfo) {
			before, after, _ := strings.Cut(mount, " - ")
			if f := strings.Fields(before); len(f) > 4 && strings.HasPrefix(after, "cgroup2 ") {
				return filepath.Join(f[4], path), nil
			}
		}
	}
	return "", errors.New("there are no control groups of version 2")
}

// takeOver lets dir have groups with a controller.
func takeOver(dir, controller string) (*Cgroups, error) {
	if filepath.Base(dir) == ownGroup { // this program has replaced itself
		return sweep(&Cgroups{filepath.Dir(dir)}), nil
	}
	if !has(dir, "cgroup.controllers", controller) {
		return nil, fmt.Errorf("no %s controller in %s", controller, dir)
	}
	enable := func() error { return put(dir, "cgroup.subtree_control", "+"+controller) }
	err := enable()
	if errors.Is(err, unix.EBUSY) { // only the root may have processes too
		err = makeRoom(dir, enable)
	}
	if err != nil {
		return nil, err
	}
	return sweep(&Cgroups{dir}), nil
}

// makeRoom moves all that is in dir one level down, for enable to succeed. If it does
// not, all is as it was.
func makeRoom(dir string, enable func() error) error {
	own := filepath.Join(dir, ownGroup)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	err := error(unix.EBUSY)
	for range 10 { // something may be forked meanwhile
		var pids []string
		if pids, err = membersOf(dir); err == nil {
			err = nobodyElses(pids)
		}
		if err == nil {
			err = move(pids, own)
		}
		if err == nil {
			err = enable()
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if err != nil {
		if pids, _ := membersOf(own); len(pids) > 0 {
			_ = move(pids, dir)
		}
		_ = os.Remove(own)
	}
	return err
}

func membersOf(dir string) (pids []string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return strings.Fields(string(b)), err
}

func move(pids []string, to string) error {
	for _, pid := range pids {
		if err := put(to, "cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) { // that one has ended
			return fmt.Errorf("move process %s: %w", pid, err)
		}
	}
	return nil
}

// nobodyElses refuses processes that are not ours to move: all of a container's are,
// else this one and what it has started. One of another namespace is "0".
func nobodyElses(pids []string) error {
	if slices.Contains(pids, "1") {
		return nil
	}
	for _, pid := range pids {
		for up := pid; up != strconv.Itoa(os.Getpid()) && up != ""; up = parentOf(up) { // "": it has ended
			if up == "0" {
				return fmt.Errorf("its control group has other processes, such as %s (a systemd unit needs Delegate=yes)", pid)
			}
		}
	}
	return nil
}

// parentOf is the parent's number, "" of what has ended.
func parentOf(pid string) string {
	b, _ := os.ReadFile("/proc/" + pid + "/stat")
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may hold anything
	if len(f) < 2 {
		return ""
	}
	return string(f[1])
}

// sweep removes the groups that a killed supervisor left: empty, or they stay.
func sweep(g *Cgroups) *Cgroups {
	left, _ := filepath.Glob(filepath.Join(g.dir, workerGroup+"*")) // the pattern is valid
	for _, dir := range left {
		_ = os.Remove(dir)
	}
	return g
}

// group is the control group of one process.
type group struct{ dir string }

func (g *Cgroups) add(pid int) (*group, error) {
	one := &group{filepath.Join(g.dir, workerGroup+strconv.Itoa(pid))}
	if err := os.Mkdir(one.dir, 0o755); err != nil {
		return nil, err
	}
	_ = put(one.dir, "memory.oom.group", "1") // what the process started goes with it; since Linux 4.19
	_ = put(one.dir, "memory.swap.max", "0")  // there is none without swap
	if err := put(one.dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
		_ = os.Remove(one.dir)
		return nil, err
	}
	return one, nil
}

// limit bounds the memory of the group; 0 means no bound.
func (g *group) limit(bytes int64) error {
	value := "max"
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	return put(g.dir, "memory.max", value)
}

// end removes the group of a process that has ended, and tells whether the kernel
// killed it for want of memory.
func (g *group) end() (oom bool) {
	b, _ := os.ReadFile(filepath.Join(g.dir, "memory.events")) // an unreadable one tells nothing
	for line := range bytes.Lines(b) {
		if n, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("oom_kill ")); ok {
			oom = string(n) != "0"
		}
	}
	_ = put(g.dir, "cgroup.kill", "1") // what left the process's group; since Linux 5.14
	for range 20 {
		if err := os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(5 * time.Millisecond) // they are dying; the next start sweeps up
	}
	return oom
}

func has(dir, file, word string) bool {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return false
	}
	for _, w := range strings.Fields(string(b)) {
		if w == word {
			return true
		}
	}
	return false
}

// put writes to a file of a group. One that is not there is not made.
func put(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
