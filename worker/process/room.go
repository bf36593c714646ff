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
	Kept int64  // for this process, of which All and Left have nothing
	By   string // "RLIMIT_NPROC 400"
}

// keep leaves this process, which runs out where the others do, what it may need.
func (r Room) keep(n int64) Room {
	return Room{r.All - n, r.Left - n, n, r.By}
}

// least returns the one with less left.
func (r Room) least(o Room) Room {
	switch {
	case o.By == "":
		return r
	case r.By == "" || o.Left < r.Left:
		r.By, r.Left, r.Kept = o.By, o.Left, o.Kept
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
		r = Room{All: (field(b, "MemTotal:") + swap) << 10, Left: (field(b, "MemAvailable:") + field(b, "SwapFree:")) << 10, By: "memory"}
	}
	for _, of := range groupRooms("memory", "memory.limit_in_bytes", memoryUsed("memory.usage_in_bytes", "total_")) {
		r = r.least(of)
	}
	for _, of := range groupRooms("", "memory.max", memoryUsed("memory.current", "")) {
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
func TaskRoom(uid, limit int) (r Room) {
	total := int64(0)
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, rest, _ := strings.Cut(string(b), "/")
		count, _, _ := strings.Cut(rest, " ")
		total, _ = strconv.ParseInt(count, 10, 64)
	}
	for _, of := range []string{"threads-max", "pid_max"} {
		if most := number("/proc/sys/kernel/" + of); most > 0 {
			r = r.least(Room{All: most, Left: most - total, By: fmt.Sprintf("kernel.%s %d", of, most)}.keep(taskReserve(most)))
		}
	}
	used := func(dir string) int64 { return number(filepath.Join(dir, "pids.current")) }
	for _, of := range append(groupRooms("pids", "pids.max", used), groupRooms("", "pids.max", used)...) {
		r = r.least(of.keep(taskReserve(of.All)))
	}
	user := userRoom(uid, limit)
	if uid == os.Geteuid() && limit == 0 {
		user = user.keep(taskReserve(user.All))
	}
	return r.least(user)
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
	return Room{All: most, Left: most - tasksOf(uid), By: fmt.Sprintf("%s %d", name, most)}
}

// FileRoom is how many files this process may have open for its workers.
func FileRoom() Room {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return Room{}
	}
	open, _ := os.ReadDir("/proc/self/fd") // none seen: all are left
	r := Room{All: int64(l.Cur), Left: int64(l.Cur) - int64(len(open)), By: fmt.Sprintf("RLIMIT_NOFILE %d", l.Cur)}
	return r.keep(r.All / 4) // for clients
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
func groupRooms(controller, most string, used func(dir string) int64) (rooms []Room) {
	membership, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != controller {
			continue
		}
		root := filepath.Join("/sys/fs/cgroup", controller)
		for dir := filepath.Join(root, parts[2]); strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			if limit := number(filepath.Join(dir, most)); limit > 0 && limit < math.MaxInt64/4 {
				rooms = append(rooms, Room{All: limit, Left: limit - used(dir), By: fmt.Sprintf("%s %d", most, limit)})
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
