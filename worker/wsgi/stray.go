package wsgi

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// endStrays ends the child of a zygote that died in the middle of a fork. Nobody
// told us its number, but it has the file of that name (see nameOf), and as we are the
// subreaper it is ours.
func endStrays(name string) {
	for {
		pids := childrenWith(name)
		if len(pids) == 0 {
			return // a process that forked while we looked would have been seen itself
		}
		for _, pid := range pids {
			_ = unix.Kill(-pid, unix.SIGKILL) // it may not lead its group yet
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil) // it is our child
		}
	}
}

// childrenWith returns our children that have a file open, by its name.
func childrenWith(name string) []int {
	entries, _ := os.ReadDir("/proc") // without it there would be no zygotes
	var found []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && parentOf(pid) == os.Getpid() && hasOpen(pid, name) {
			found = append(found, pid)
		}
	}
	return found
}

// nameOf is what the kernel calls a pipe or a socket: "socket:[4711]".
func nameOf(f *os.File) string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) // without /proc there would be no zygotes
	return name
}

// parentOf returns the parent of a process, 0 when there is no such process.
func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // a name may have spaces
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1]) // proc(5): it is a number
	return parent
}

func hasOpen(pid int, name string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir) // of a process that has ended: none
	for _, e := range entries {
		if target, _ := os.Readlink(filepath.Join(dir, e.Name())); target == name {
			return true
		}
	}
	return false
}
