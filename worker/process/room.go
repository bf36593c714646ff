package process

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Room is how much of something there is for processes, and what bounds it. The zero
// By means that nothing does.
type Room struct {
	All  int64 // if nothing else had any of it
	Left int64
	By   string // "RLIMIT_NPROC 400"
}

// least returns the one with less left.
func (r Room) least(o Room) Room {
	switch {
	case o.By == "":
		return r
	case r.By == "" || o.Left < r.Left:
		r.By, r.Left = o.By, o.Left
	}
	if r.All == 0 || o.All < r.All {
		r.All = o.All
	}
	return r
}

// MemoryRoom is the memory that this machine, or a control group of this process, has
// for processes, in bytes, swap included.
func MemoryRoom() (r Room) {
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		swap := field(b, "SwapTotal:")
		r = Room{(field(b, "MemTotal:") + swap) << 10, (field(b, "MemAvailable:") + field(b, "SwapFree:")) << 10, "memory"}
	}
	r = groupRoom(r, "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
	return groupRoom(r, "", "memory.max", "memory.current")
}

// TaskRoom is how many processes and threads the processes of a user may have.
// limit stands in for RLIMIT_NPROC where it is set.
func TaskRoom(uid, limit int) (r Room) {
	total := int64(0)
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, rest, _ := strings.Cut(string(b), "/")
		count, _, _ := strings.Cut(rest, " ")
		total, _ = strconv.ParseInt(count, 10, 64)
	}
	for _, of := range []string{"threads-max", "pid_max"} {
		if most := number("/proc/sys/kernel/" + of); most > 0 {
			r = r.least(Room{most, most - total, fmt.Sprintf("kernel.%s %d", of, most)})
		}
	}
	r = groupRoom(r, "pids", "pids.max", "pids.current")
	r = groupRoom(r, "", "pids.max", "pids.current")
	return r.least(userRoom(uid, limit))
}

// userRoom is what RLIMIT_NPROC leaves a user, whom root is not.
func userRoom(uid, limit int) Room {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &l); err != nil || uid == 0 {
		return Room{}
	}
	name := "RLIMIT_NPROC"
	if limit > 0 {
		l.Cur, name = uint64(limit), "tasks_limit"
	}
	if l.Cur > math.MaxInt32 {
		return Room{}
	}
	most := int64(l.Cur)
	return Room{most, most - tasksOf(uid), fmt.Sprintf("%s %d", name, most)}
}

// FileRoom is how many files this process may have open.
func FileRoom() Room {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return Room{}
	}
	open, _ := os.ReadDir("/proc/self/fd") // none seen: all are left
	return Room{int64(l.Cur), int64(l.Cur) - int64(len(open)), fmt.Sprintf("RLIMIT_NOFILE %d", l.Cur)}
}

// Tasks returns how many threads a process has, 0 if it has ended.
func Tasks(pid int) int64 {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return field(b, "Threads:")
}

// tasksOf counts the processes and threads of a user, which the kernel does not tell.
func tasksOf(uid int) (n int64) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid {
			b, _ := os.ReadFile(dir + "/status") // it may have ended
			n += field(b, "Threads:")
		}
	}
	return n
}

// groupRoom bounds r by the control groups that this process is in, of a controller of
// version 1, or of version 2.
func groupRoom(r Room, controller, most, used string) Room {
	membership, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != controller {
			continue
		}
		root := filepath.Join("/sys/fs/cgroup", controller)
		for dir := filepath.Join(root, parts[2]); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if limit := number(filepath.Join(dir, most)); limit > 0 && limit < math.MaxInt64/4 {
				r = r.least(Room{limit, limit - number(filepath.Join(dir, used)), fmt.Sprintf("%s %d", most, limit)})
			}
		}
	}
	return r
}

// number reads a file that holds one number; 0: it does not.
func number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n
}

// field returns the number behind a name in a file of /proc; 0: there is none.
func field(b []byte, name string) int64 {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if words := bytes.Fields(rest); len(words) > 0 {
				n, _ := strconv.ParseInt(string(words[0]), 10, 64)
				return n
			}
		}
	}
	return 0
}
