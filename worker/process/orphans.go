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

// ReapOrphans reaps, until ctx has ended, children that nothing else in this program waits
// for: processes that were left to us as the subreaper or as the first process of a
// container. It looks every period. A child is an orphan if it was dead the time before
// too and we have no pidfd of it; every Process and package os have one of theirs.
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
		var ours map[int]bool // read after dead: a pidfd exists before its process dies, except in Adopt
		for pid := range dead {
			if !before[pid] {
				continue
			}
			if ours == nil {
				ours = withPidfd()
			}
			if !ours[pid] {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // the status does not matter
			}
		}
		before = dead
	}
}

// deadChildren returns the children of this process that have exited and were not reaped.
func deadChildren() map[int]bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo == 0 { // none, which is the usual case
		return nil
	}
	dead := map[int]bool{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		b, _ := os.ReadFile(path) // the process may be gone
		// "pid (name) state parent …"; the name may contain anything
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

// withPidfd returns the processes of which this one has a pidfd.
func withPidfd() map[int]bool {
	pids := map[int]bool{}
	infos, _ := filepath.Glob("/proc/self/fdinfo/*") // the pattern is valid
	for _, path := range infos {
		b, _ := os.ReadFile(path) // it may have been closed
		_, after, found := bytes.Cut(b, []byte("\nPid:\t"))
		line, _, _ := bytes.Cut(after, []byte("\n"))
		if pid, err := strconv.Atoi(string(line)); found && err == nil {
			pids[pid] = true
		}
	}
	return pids
}
