package statedir

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

// Lock is the locked pid file. The kernel drops the lock when its process ends, for
// whatever reason, so a file that a dead supervisor left is not in the way.
type Lock struct {
	file  *os.File
	stale bool // the supervisor before was killed: it has not called Release
}

func lockFile(dir string) string { return filepath.Join(dir, lockedFile) }

// TakeLock makes a state directory if needed, and locks it. If another supervisor has
// the lock it returns a RunningError.
func TakeLock(dir string) (*Lock, error) {
	if err := Make(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockFile(dir), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		pid, _ := os.ReadFile(f.Name()) // only for the message
		return nil, &RunningError{PID: strings.TrimSpace(string(pid)), StateDir: dir}
	}
	before, _ := io.ReadAll(f) // a file that can be written can be read
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{file: f, stale: len(before) > 0}, nil
}

// InheritLock returns the lock that this process has held since before an upgrade.
func InheritLock(f *os.File) *Lock { return &Lock{file: f} }

// LockName is the name that a file with the lock has.
const LockName = lockedFile

// File returns the locked file.
func (l *Lock) File() *os.File { return l.file }

// Stale reports whether the supervisor before was killed, so that processes which it
// had started may still run.
func (l *Lock) Stale() bool { return l.stale }

// Mark returns a variable for the environment of all processes of the sites, by which
// the next supervisor finds those that were left by one that was killed. It names the
// lock file by device and inode, so it is the same for every path to the file, and
// another in each container. While the lock is held no other supervisor has processes
// with this mark.
func (l *Lock) Mark() (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(l.file.Fd()), &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", l.file.Name(), err)
	}
	return fmt.Sprintf("MULTISITE_LOCK=%d:%d", st.Dev, st.Ino), nil
}

// Release empties the file and drops the lock. The file stays: if it was removed two
// processes could hold two locks of one name.
func (l *Lock) Release() {
	_ = l.file.Truncate(0)                         // it only matters to Stale
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN) // a child that is just being forked has the file open, too
	l.file.Close()
}

// Watch returns a function that waits for the end of a supervisor's process. Its lock
// would not do, since it is released before the process ends.
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
