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

// The names of control groups below the one in which this program was started.
const (
	supervisorCgroup = "multisite.supervisor" // has this process and those it starts: a group that has groups may not have processes itself
	workerCgroup     = "multisite.worker."    // has one worker, whose pid follows
)

// Cgroups are control groups (cgroups(7), version 2), one for each process whose memory
// is bounded.
type Cgroups struct {
	dir string // the control group below which they are
}

// OpenCgroups takes over the control group of this process with all that runs in it. We
// must be allowed to write there, and no other program's process may be in it: it is that
// of a systemd unit with Delegate=yes, or of a container of our own.
func OpenCgroups() (*Cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	dir, err := cgroupDir(string(mounts), string(membership))
	if err != nil {
		return nil, err
	}
	return takeOver(dir, "memory")
}

// cgroupDir returns the directory of the control group of a process, from the text of its
// files mountinfo and cgroup in /proc.
func cgroupDir(mountinfo, membership string) (string, error) {
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

// takeOver enables a controller for the groups below dir.
func takeOver(dir, controller string) (*Cgroups, error) {
	if filepath.Base(dir) == supervisorCgroup { // this image was started by an upgrade
		return removeEmpty(&Cgroups{filepath.Dir(dir)}), nil
	}
	if !hasWord(dir, "cgroup.controllers", controller) {
		return nil, fmt.Errorf("no %s controller in %s", controller, dir)
	}
	enable := func() error { return writeFile(dir, "cgroup.subtree_control", "+"+controller) }
	err := enable()
	if errors.Is(err, unix.EBUSY) { // only the root group may have groups and processes
		err = moveDown(dir, enable)
	}
	if err != nil {
		return nil, err
	}
	return removeEmpty(&Cgroups{dir}), nil
}

// moveDown moves all processes in dir one level down, so that enable succeeds. If it
// fails nevertheless, they are moved back.
func moveDown(dir string, enable func() error) error {
	own := filepath.Join(dir, supervisorCgroup)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	err := error(unix.EBUSY)
	for range 10 { // a process may be forked meanwhile
		var pids []string
		if pids, err = membersOf(dir); err == nil {
			err = checkOurs(pids)
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
		if err := writeFile(to, "cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) { // it has exited
			return fmt.Errorf("move process %s: %w", pid, err)
		}
	}
	return nil
}

// checkOurs returns an error if one of the processes is not ours to move. In a container
// all are; otherwise this process and those that it has started. A process of another
// namespace has the pid "0".
func checkOurs(pids []string) error {
	if slices.Contains(pids, "1") {
		return nil
	}
	for _, pid := range pids {
		for up := pid; up != strconv.Itoa(os.Getpid()) && up != ""; up = parentOf(up) { // "": it has exited
			if up == "0" {
				return fmt.Errorf("its control group has other processes, such as %s (a systemd unit needs Delegate=yes)", pid)
			}
		}
	}
	return nil
}

// parentOf returns the parent of a process, "" if it has exited.
func parentOf(pid string) string {
	b, _ := os.ReadFile("/proc/" + pid + "/stat")
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may contain anything
	if len(f) < 2 {
		return ""
	}
	return string(f[1])
}

// removeEmpty removes the groups that a killed supervisor has left, unless they still have
// processes.
func removeEmpty(g *Cgroups) *Cgroups {
	left, _ := filepath.Glob(filepath.Join(g.dir, workerCgroup+"*")) // the pattern is valid
	for _, dir := range left {
		_ = os.Remove(dir)
	}
	return g
}

// cgroup is the control group of one process.
type cgroup struct{ dir string }

// add makes a control group for a process.
func (g *Cgroups) add(pid int) (*cgroup, error) {
	one := &cgroup{filepath.Join(g.dir, workerCgroup+strconv.Itoa(pid))}
	if err := os.Mkdir(one.dir, 0o755); err != nil {
		return nil, err
	}
	_ = writeFile(one.dir, "memory.oom.group", "1") // the kernel kills all of the group at once; since Linux 4.19
	_ = writeFile(one.dir, "memory.swap.max", "0")  // fails without swap
	if err := writeFile(one.dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
		_ = os.Remove(one.dir)
		return nil, err
	}
	return one, nil
}

// limit bounds the memory of the group; 0 means no bound.
func (g *cgroup) limit(bytes int64) error {
	value := "max"
	if bytes > 0 {
		value = strconv.FormatInt(bytes, 10)
	}
	return writeFile(g.dir, "memory.max", value)
}

// remove removes the control group of a process that has exited, and reports whether the
// kernel killed the process for lack of memory.
func (g *cgroup) remove() (oom bool) {
	b, _ := os.ReadFile(filepath.Join(g.dir, "memory.events")) // false if it cannot be read
	for line := range bytes.Lines(b) {
		if n, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("oom_kill ")); ok {
			oom = string(n) != "0"
		}
	}
	_ = writeFile(g.dir, "cgroup.kill", "1") // what has left the process group; since Linux 5.14
	for range 20 {
		if err := os.Remove(g.dir); err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(5 * time.Millisecond) // they are dying; the next start removes what stays
	}
	return oom
}

// hasWord reports whether a file of a control group lists a word.
func hasWord(dir, file, word string) bool {
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

// writeFile writes to a file of a control group, which must exist.
func writeFile(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
