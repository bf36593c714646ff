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

// KillMarked kills every process that was started with mark, "NAME=value", in its
// environment. Processes inherit a mark even if they leave their parent, process group or
// session. KillMarked spares this process and its ancestors. It returns how many it has
// killed when they have exited, or an error after patience.
func KillMarked(mark string, patience time.Duration) (killed int, err error) {
	deadline := time.Now().Add(patience)
	spared := ancestors()
	for {
		pidfds := signalMarked(mark, spared)
		if len(pidfds) == 0 {
			return killed, nil // a process that forks meanwhile would itself have been found
		}
		for _, fd := range pidfds {
			if awaitExit(fd, deadline) {
				killed++
			}
			unix.Close(fd)
		}
		if time.Now().After(deadline) {
			return killed, fmt.Errorf("processes with %s were killed and do not exit", mark)
		}
	}
}

// ancestors returns this process and those that it descends from.
func ancestors() map[int]bool {
	pids := map[int]bool{}
	for pid := os.Getpid(); pid > 0 && !pids[pid]; {
		pids[pid] = true
		pid = parentPID(pid)
	}
	return pids
}

// signalMarked kills the processes with the mark and returns a pidfd of each.
func signalMarked(mark string, spared map[int]bool) (pidfds []int) {
	entries, _ := os.ReadDir("/proc") // without /proc no mark can be read
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || spared[pid] || !hasMark(pid, mark) {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// The pid may have been reused before PidfdOpen, so the mark is checked once more.
		// If it was reused after that, the process of fd has exited and gets no signal.
		if hasMark(pid, mark) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
			pidfds = append(pidfds, fd)
			continue
		}
		unix.Close(fd)
	}
	return pidfds
}

// hasMark reports whether a process was started with the mark in its environment.
func hasMark(pid int, mark string) bool {
	path := fmt.Sprintf("/proc/%d/environ", pid)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0 {
		b = readAsOwner(path)
	}
	return bytes.Contains(append([]byte{0}, b...), []byte("\x00"+mark+"\x00"))
}

// readAsOwner reads a file of another user's process with that user's rights: root in a
// container usually lacks CAP_SYS_PTRACE, which it would need.
func readAsOwner(path string) []byte {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	owner := info.Sys().(*syscall.Stat_t)
	runtime.LockOSThread() // the rights below belong to this thread
	defer runtime.UnlockOSThread()
	defer func() {
		_ = unix.Setfsuid(os.Geteuid()) // cannot fail: a thread may always set its own ids
		_ = unix.Setfsgid(os.Getegid())
	}()
	_ = unix.Setfsgid(int(owner.Gid)) // if it fails, the file cannot be read
	_ = unix.Setfsuid(int(owner.Uid))
	b, _ := os.ReadFile(path)
	return b
}

// awaitExit reports whether a process has exited before deadline.
func awaitExit(pidfd int, deadline time.Time) bool {
	for {
		wait := max(0, time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(wait))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}
