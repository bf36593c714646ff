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

// Room is how much of a resource there is for processes, and what bounds it.
type Room struct {
	Left     int64  // for other processes; below 0 if they have more than they should
	Reserved int64  // for this process, in addition to Left
	By       string // the bound: "RLIMIT_NPROC 400"; "": there is none
}

// Basis is whether a Room counts what is in use.
type Basis bool

// A Room is what is free now, or what would be if nothing used any of it.
const (
	FreeNow Basis = true
	InTotal Basis = false
)

// room returns the Room of a bound. used returns what is in use; it is not cheap, and not
// called for InTotal.
func (b Basis) room(most int64, used func() int64, by string) Room {
	r := Room{Left: most, By: fmt.Sprintf("%s %d", by, most)}
	if b == FreeNow {
		r.Left -= used()
	}
	return r
}

// reserve reserves n for this process, to which the bound applies too.
func (r Room) reserve(n int64) Room { return Room{r.Left - n, n, r.By} }

// least returns the Room with less left.
func (r Room) least(o Room) Room {
	if r.By == "" || o.By != "" && o.Left < r.Left {
		return o
	}
	return r
}

// MemoryRoom returns the memory for processes, including swap, in bytes, that this machine
// and the control groups of this process allow.
func MemoryRoom(basis Basis) (r Room) {
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		most := (field(b, "MemTotal:") + field(b, "SwapTotal:")) << 10
		r = basis.room(most, func() int64 { return most - (field(b, "MemAvailable:")+field(b, "SwapFree:"))<<10 }, "memory")
	}
	rooms := append(
		cgroupRooms(basis, "memory", "memory.limit_in_bytes", memoryUsed("memory.usage_in_bytes", "total_")),
		cgroupRooms(basis, "", "memory.max", memoryUsed("memory.current", ""))...)
	for _, of := range rooms {
		r = r.least(of)
	}
	return r
}

// memoryUsed returns a function that returns the memory of a control group without the
// cache of files, which the kernel frees when processes need memory.
func memoryUsed(file, prefix string) func(dir string) int64 {
	return func(dir string) int64 {
		stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
		cache := field(stat, prefix+"active_file ") + field(stat, prefix+"inactive_file ")
		return number(filepath.Join(dir, file)) - cache
	}
}

// TaskRoom returns how many processes and threads the processes of a user may have. limit,
// if it is not 0, replaces our RLIMIT_NPROC; it does not apply to this process.
func TaskRoom(basis Basis, uid, limit int) (r Room) {
	var rooms []Room // all but userRoom apply to this process too
	for _, of := range []string{"threads-max", "pid_max"} {
		if most := number("/proc/sys/kernel/" + of); most > 0 {
			rooms = append(rooms, basis.room(most, allTasks, "kernel."+of).reserve(taskReserve(most)))
		}
	}
	used := func(dir string) int64 { return number(filepath.Join(dir, "pids.current")) }
	for _, group := range []string{"pids", ""} {
		rooms = append(rooms, cgroupRooms(basis, group, "pids.max", used)...)
	}
	for _, of := range append(rooms, userRoom(basis, uid, limit)) {
		r = r.least(of)
	}
	return r
}

// allTasks returns how many processes and threads there are.
func allTasks() int64 {
	b, _ := os.ReadFile("/proc/loadavg") // "0.20 0.18 0.12 1/80 11206"
	_, rest, _ := strings.Cut(string(b), "/")
	count, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseInt(count, 10, 64)
	return n
}

// userRoom returns what limit or RLIMIT_NPROC leaves to a user. Root has no such limit.
func userRoom(basis Basis, uid, limit int) Room {
	used := func() int64 { return tasksOf(uid) }
	var l unix.Rlimit
	switch err := unix.Getrlimit(unix.RLIMIT_NPROC, &l); {
	case err != nil || uid == 0 || limit == 0 && l.Cur > math.MaxInt32:
		return Room{}
	case limit > 0:
		return basis.room(int64(limit), used, "tasks_limit")
	}
	r := basis.room(int64(l.Cur), used, "RLIMIT_NPROC")
	if uid == os.Geteuid() {
		r = r.reserve(taskReserve(int64(l.Cur)))
	}
	return r
}

// FileRoom returns how many files this process may open for its workers.
func FileRoom(basis Basis) Room {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return Room{}
	}
	used := func() int64 {
		open, _ := os.ReadDir("/proc/self/fd") // after an error all count as free
		return int64(len(open))
	}
	return basis.room(int64(l.Cur), used, "RLIMIT_NOFILE").reserve(int64(l.Cur) / 4) // for clients
}

// Tasks returns how many threads a process has, 0 if it has exited.
func Tasks(pid int) int64 {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return field(b, "Threads:")
}

// tasksOf counts the processes and threads of a user. The kernel has no file with that
// number.
func tasksOf(uid int) (n int64) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid {
			b, _ := os.ReadFile(dir + "/status") // it may have exited
			n += field(b, "Threads:")
		}
	}
	return n
}

// cgroupRooms returns what each control group of this process leaves: of a controller of
// version 1, or of version 2 if controller is "".
func cgroupRooms(basis Basis, controller, most string, used func(dir string) int64) (rooms []Room) {
	membership, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != controller {
			continue
		}
		root := filepath.Join("/sys/fs/cgroup", controller)
		for dir := filepath.Join(root, parts[2]); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if limit := number(filepath.Join(dir, most)); limit > 0 && limit < math.MaxInt64/4 {
				r := basis.room(limit, func() int64 { return used(dir) }, most)
				if most == "pids.max" {
					r = r.reserve(taskReserve(limit))
				}
				rooms = append(rooms, r)
			}
		}
	}
	return rooms
}

// number reads a file that has one number; it returns 0 if it has none.
func number(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n
}

// field returns the number after a name in a file of /proc, 0 if there is none.
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
