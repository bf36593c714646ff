package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// KillMarked kills every process that began with mark, "NAME=value", in its
// environment: a mark is inherited, whatever a process does to leave its parent, its
// group or its session. It spares this process and those that it descends from. It
// returns how many there were when they have ended, or with an error after patience.
func KillMarked(mark string, patience time.Duration) (ended int, err error) {
	deadline := time.Now().Add(patience)
	spared := lineage()
	for {
		pidfds := killMarked(mark, spared)
		if len(pidfds) == 0 {
			return ended, nil // whoever forked meanwhile would have been seen itself
		}
		for _, fd := range pidfds {
			if waitEnded(fd, deadline) {
				ended++
			}
			unix.Close(fd)
		}
		if time.Now().After(deadline) {
			return ended, fmt.Errorf("processes with %s were killed and do not end", mark)
		}
	}
}

// lineage is this process and those that it descends from.
func lineage() map[int]bool {
	pids := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !pids[pid]; {
		pids[pid] = true
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // of one that has ended: nothing
		parent := 0
		// "pid (name) state parent …"; the name may hold anything
		if f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]); len(f) > 1 {
			parent, _ = strconv.Atoi(string(f[1])) // it is a number
		}
		pid = parent
	}
	return pids
}

// killMarked returns a pidfd of each process that it has killed.
func killMarked(mark string, spared map[int]bool) (pidfds []int) {
	entries, _ := os.ReadDir("/proc") // without it there would be no mark to see
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || spared[pid] || !hasMark(pid, mark) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// The number may be another's by now: then what is looked at again is not what fd
		// is of, or that has ended.
		if hasMark(pid, mark) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			pidfds = append(pidfds, fd)
			continue
		}
		unix.Close(fd)
	}
	return pidfds
}

func hasMark(pid int, mark string) bool {
	path := fmt.Sprintf("/proc/%d/environ", pid)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0 {
		b = readAsOwner(path)
	}
	return bytes.Contains(append([]byte{0}, b...), []byte("\x00"+mark+"\x00"))
}

// readAsOwner reads what root may not read of another user's process: in a container
// it is usually without CAP_SYS_PTRACE.
func readAsOwner(path string) []byte {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	owner := info.Sys().(*syscall.Stat_t)
	runtime.LockOSThread() // the rights below are this thread's
	defer runtime.UnlockOSThread()
	defer func() {
		_ = unix.Setfsuid(os.Geteuid()) // a thread may always go back to what it is
		_ = unix.Setfsgid(os.Getegid())
	}()
	_ = unix.Setfsgid(int(owner.Gid)) // where it may not, the file stays closed
	_ = unix.Setfsuid(int(owner.Uid))
	b, _ := os.ReadFile(path)
	return b
}

// waitEnded waits until a process has ended, or until deadline.
func waitEnded(pidfd int, deadline time.Time) bool {
	for {
		wait := max(0, time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(wait))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}
