package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// RunningError says that a supervisor runs for this state directory already.
type RunningError struct {
	PID      string
	StateDir string
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("multisite already runs for %s (pid %s)", e.StateDir, e.PID)
}

// lock is the pid file. The kernel drops the lock with its process, however that
// ends, so a file that a dead supervisor left behind never stands in the way.
type lock struct {
	file  *os.File
	stale bool // who had it before did not release it
}

func pidFile(stateDir string) string { return filepath.Join(stateDir, "multisite.pid") }

func takeLock(stateDir string) (*lock, error) {
	if err := MakeStateDir(stateDir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(pidFile(stateDir), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		pid, _ := os.ReadFile(f.Name()) // only for the message
		return nil, &RunningError{PID: strings.TrimSpace(string(pid)), StateDir: stateDir}
	}
	before, _ := io.ReadAll(f) // it can be written, then it can be read
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		f.Close()
		return nil, err
	}
	return &lock{file: f, stale: len(before) > 0}, nil
}

// release empties the file and drops the lock. The file stays: removing a locked
// file would let two processes hold two locks of one name.
func (l *lock) release() {
	_ = l.file.Truncate(0)                         // the lock is what counts
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // a child that is just being forked has the file open too
	l.file.Close()
}

// Watch returns what waits for the end of the supervisor that a process is. Its lock
// would not do: it is dropped before the process ends.
func Watch(pid int) (wait func() error, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return func() error {
		defer unix.Close(fd)
		for {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	}, nil
}
