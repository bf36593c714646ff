package process

import (
	"bytes"
	"os"
	"strconv"
)

// Parents returns the parent of every process.
func Parents() map[int]int {
	parents := map[int]int{}
	proc, err := os.Open("/proc")
	if err != nil { // without /proc nothing is known
		return parents
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if parent := parentPID(pid); parent > 0 {
				parents[pid] = parent
			}
		}
	}
	return parents
}

// parentPID returns the parent of a process; 0 if it has exited, or has none.
func parentPID(pid int) int {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	// "pid (name) state parent …"; the name may contain anything
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(f[1])) // cannot fail: it is a number
	return parent
}
