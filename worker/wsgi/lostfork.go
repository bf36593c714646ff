package wsgi

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// killLostFork kills the process that a zygote may have forked before it failed to
// answer. Its number is not known, but it has the file with that name open (see
// kernelName), and since this process is the subreaper it is our child.
func killLostFork(name string) {
	for {
		pids := childrenWith(name)
		if len(pids) == 0 {
			return // a process that forked during the search would have been found itself
		}
		for _, pid := range pids {
			_ = unix.Kill(-pid, unix.SIGKILL) // fails if it does not lead its group yet
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil) // it is our child
		}
	}
}

// childrenWith returns our children that have the file with that name open.
func childrenWith(name string) []int {
	entries, _ := os.ReadDir("/proc") // without /proc there would be no zygotes
	var found []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && parentOf(pid) == os.Getpid() && hasOpen(pid, name) {
			found = append(found, pid)
		}
	}
	return found
}

// kernelName returns the kernel's name of a pipe or socket: "socket:[4711]".
func kernelName(f *os.File) string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) // without /proc there would be no zygotes
	return name
}

// parentOf returns the parent of a process; 0: there is no such process.
func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // the process's name may contain spaces
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1]) // always a number, proc(5)
	return parent
}

// hasOpen reports whether a process has the file with that name open.
func hasOpen(pid int, name string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir) // a process that has exited has none
	for _, e := range entries {
		if target, _ := os.Readlink(filepath.Join(dir, e.Name())); target == name {
			return true
		}
	}
	return false
}
