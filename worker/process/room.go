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
	Left int64
	Kept int64  // for this process, of which Left has nothing
	By   string // "RLIMIT_NPROC 400"
}

// Basis is what else has some of it.
type Basis bool

// A room is what is left now, or what there would be if nothing else ran.
const (
	FreeNow Basis = true
	InTotal Basis = false
)

// of is a room of so much, of which others have what used tells: it is not cheap.
func (b Basis) of(most int64, used func() int64, by string) Room {
	r := Room{Left: most, By: fmt.Sprintf("%s %d", by, most)}
	if b == FreeNow {
		r.Left -= used()
	}
	return r
}

// keep leaves this process, which runs out where the others do, what it may need.
func (r Room) keep(n int64) Room { return Room{r.Left - n, n, r.By} }

// least returns the one with less left.
func (r Room) least(o Room) Room {
	if r.By == "" || o.By != "" && o.Left < r.Left {
		return o
	}
	return r
}

// MemoryRoom is the memory that this machine, or a control group of this process, has
// for processes, in bytes, swap included.
func MemoryRoom(beside Basis) (r Room) {
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		most := (field(b, "MemTotal:") + field(b, "SwapTotal:")) << 10
		r = beside.of(most, func() int64 { return most - (field(b, "MemAvailable:")+field(b, "SwapFree:"))<<10 }, "memory")
	}
	rooms := append(
		groupRooms(beside, "memory", "memory.limit_in_bytes", memoryUsed("memory.usage_in_bytes", "total_")),
		groupRooms(beside, "", "memory.max", memoryUsed("memory.current", ""))...)
	for _, of := range rooms {
		r = r.least(of)
	}
	return r
}

// memoryUsed returns what tells the memory that a control group could not give back:
// of what it is charged for, not the cache of files.
func memoryUsed(file, prefix string) func(dir string) int64 {
	return func(dir string) int64 {
		stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
		cache := field(stat, prefix+"active_file ") + field(stat, prefix+"inactive_file ")
		return number(filepath.Join(dir, file)) - cache
	}
}

// TaskRoom is how many processes and threads the processes of a user may have.
// limit, which is not ours, stands in for RLIMIT_NPROC where it is set.
func TaskRoom(beside Basis, uid, limit int) (r Room) {
	var rooms []Room // that we are in, too
	for _, of := range []string{"threads-max", "pid_max"} {
		if most := number("/proc/sys/kernel/" + of); most > 0 {
			rooms = append(rooms, beside.of(most, allTasks, "kernel."+of).keep(taskReserve(most)))
		}
	}
	used := func(dir string) int64 { return number(filepath.Join(dir, "pids.current")) }
	for _, group := range []string{"pids", ""} {
		rooms = append(rooms, groupRooms(beside, group, "pids.max", used)...)
	}
	for _, of := range append(rooms, userRoom(beside, uid, limit)) {
		r = r.least(of)
	}
	return r
}

// allTasks is how many processes and threads there are.
func allTasks() int64 {
	b, _ := os.ReadFile("/proc/loadavg") // "0.20 0.18 0.12 1/80 11206"
	_, rest, _ := strings.Cut(string(b), "/")
	count, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseInt(count, 10, 64)
	return n
}

// userRoom is what RLIMIT_NPROC leaves a user, whom root is not.
func userRoom(beside Basis, uid, limit int) Room {
	used := func() int64 { return tasksOf(uid) }
	var l unix.Rlimit
	switch err := unix.Getrlimit(unix.RLIMIT_NPROC, &l); {
	case err != nil || uid == 0 || limit == 0 && l.Cur > math.MaxInt32:
		return Room{}
	case limit > 0:
		return beside.of(int64(limit), used, "tasks_limit")
	}
	r := beside.of(int64(l.Cur), used, "RLIMIT_NPROC")
	if uid == os.Geteuid() {
		r = r.keep(taskReserve(int64(l.Cur)))
	}
	return r
}

// FileRoom is how many files this process may have open for its workers.
func FileRoom(beside Basis) Room {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return Room{}
	}
	used := func() int64 {
		open, _ := os.ReadDir("/proc/self/fd") // none seen: all are left
		return int64(len(open))
	}
	return beside.of(int64(l.Cur), used, "RLIMIT_NOFILE").keep(int64(l.Cur) / 4) // for clients
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

// groupRooms are what the control groups that this process is in leave, of a controller
// of version 1, or of version 2.
func groupRooms(beside Basis, controller, most string, used func(dir string) int64) (rooms []Room) {
	membership, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != controller {
			continue
		}
		root := filepath.Join("/sys/fs/cgroup", controller)
		for dir := filepath.Join(root, parts[2]); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if limit := number(filepath.Join(dir, most)); limit > 0 && limit < math.MaxInt64/4 {
				r := beside.of(limit, func() int64 { return used(dir) }, most)
				if most == "pids.max" {
					r = r.keep(taskReserve(limit))
				}
				rooms = append(rooms, r)
			}
		}
	}
	return rooms
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
