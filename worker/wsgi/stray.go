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
// told us its number, but it has the other end of our pipe, and as we are the
// subreaper it is ours.
func endStrays(pipe *os.File) {
	for {
		pids := childrenWith(pipe)
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

// childrenWith returns our children that have a pipe open.
func childrenWith(pipe *os.File) []int {
	var st unix.Stat_t
	if err := fstat(pipe, &st); err != nil {
		return nil
	}
	name := fmt.Sprintf("pipe:[%d]", st.Ino)
	entries, _ := os.ReadDir("/proc") // without it there would be no zygotes
	var found []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && parentOf(pid) == os.Getpid() && hasOpen(pid, name) {
			found = append(found, pid)
		}
	}
	return found
}

func fstat(f *os.File, st *unix.Stat_t) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var statErr error
	if err := raw.Control(func(fd uintptr) { statErr = unix.Fstat(int(fd), st) }); err != nil {
		return err
	}
	return statErr
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
