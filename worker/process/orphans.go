package process

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ReapOrphans takes the exit status of children that nobody here waits for, until
// ctx ends: those that processes left to us, the subreaper or the first process of
// a container. It looks every period. A child is nobody's when it was dead the
// time before too and no pidfd of ours is of it: every Process has one, and so has
// what package os starts.
func ReapOrphans(ctx context.Context, period time.Duration) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	var before map[int]bool
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		dead := deadChildren()
		var ours map[int]bool // read last: a pidfd is older than its process's death, or is Adopt's
		for pid := range dead {
			if !before[pid] {
				continue
			}
			if ours == nil {
				ours = ofPidfds()
			}
			if !ours[pid] {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // nobody asks how it ended
			}
		}
		before = dead
	}
}

// deadChildren are the children of this process that have ended and not been waited for.
func deadChildren() map[int]bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo == 0 { // there is none: nearly always
		return nil
	}
	dead := map[int]bool{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		b, _ := os.ReadFile(path) // it may be gone
		// "pid (name) state parent …"; the name may hold anything
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 2 || string(f[0]) != "Z" || string(f[1]) != strconv.Itoa(os.Getpid()) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			dead[pid] = true
		}
	}
	return dead
}

// ofPidfds are the processes of which this one has a pidfd.
func ofPidfds() map[int]bool {
	pids := map[int]bool{}
	infos, _ := filepath.Glob("/proc/self/fdinfo/*") // the pattern is valid
	for _, path := range infos {
		b, _ := os.ReadFile(path) // it may be closed
		_, after, found := bytes.Cut(b, []byte("\nPid:\t"))
		line, _, _ := bytes.Cut(after, []byte("\n"))
		if pid, err := strconv.Atoi(string(line)); found && err == nil {
			pids[pid] = true
		}
	}
	return pids
}
