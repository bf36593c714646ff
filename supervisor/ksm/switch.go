// Package ksm drives kernel samepage merging (Documentation/admin-guide/mm/ksm.rst): the
// kernel thread ksmd looks for equal pages of the processes that have opted in, and lets
// them share one. The workers opt in by themselves (merge_pages.py). This package turns
// the kernel's switch on and off, finds other users that have opted in, and reads what
// was merged.
//
// The switch is the whole machine's. It is never turned off unless this package has turned
// it on, and no page is unmerged by force: the kernel would kill the process that asks
// for that if memory ran out.
//
// Several supervisors may want it. Each that knows that one of them has turned it on holds a
// shared lock (of its open file, fcntl) on the file of the switch, and the last of them turns it off. The kernel
// releases the lock of one that was killed.
package ksm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is where the files of the kernel are. Tests have files of their own.
type Kernel struct {
	Sys  string // /sys/kernel/mm/ksm
	Proc string // /proc
}

// Linux is where the kernel has its files.
var Linux = Kernel{Sys: "/sys/kernel/mm/ksm", Proc: "/proc"}

// Switch is the kernel's switch for all merging of the machine. A Switch may not be copied
// after it was turned on, and one goroutine uses it at a time.
type Switch struct {
	Kernel Kernel
	Marker string // file that says in which boot of the machine the switch was turned on by us

	lock *os.File // locked by those who are to turn the switch off; nil: we are not
}

// On reports whether ksmd runs.
func (s *Switch) On() bool {
	run, err := s.read()
	return err == nil && run == "1"
}

// TurnOn turns the switch on, and reports whether it was off before.
func (s *Switch) TurnOn() (changed bool, err error) {
	run, err := s.read()
	if errors.Is(err, fs.ErrNotExist) {
		return false, errors.New("this kernel cannot merge pages: there is no " + s.path())
	}
	if err != nil {
		return false, err
	}
	if run == "1" {
		return false, s.join()
	}
	if err := s.mark(); err != nil {
		return false, err
	}
	if err := os.WriteFile(s.path(), []byte("1"), 0o644); err != nil {
		_ = os.Remove(s.Marker) // nothing has changed
		return false, fmt.Errorf("nothing is merged until root writes 1 to %s: %w", s.path(), err)
	}
	s.hold()
	return true, nil
}

// join makes this supervisor one of those who are to turn the switch off, if one of them
// has turned it on. It is called when the switch is on.
func (s *Switch) join() error {
	if s.lock != nil {
		return nil
	}
	alone, ours := s.isAlone(), s.isMarked()
	if !alone && !ours {
		if err := s.mark(); err != nil {
			return err
		}
	}
	if !alone || ours {
		s.hold()
	}
	return nil
}

// TurnOff turns the switch off if it was turned on by TurnOn, also by that of an earlier
// supervisor, and no other supervisor wants it on. It reports whether it did.
func (s *Switch) TurnOff() (changed bool, err error) {
	defer s.release()
	if _, err := os.Stat(s.Marker); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if s.isMarked() && s.On() && s.isAlone() {
		if err := os.WriteFile(s.path(), []byte("0"), 0o644); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, os.Remove(s.Marker)
}

// mark notes that the switch was turned on by a supervisor.
func (s *Switch) mark() error { return os.WriteFile(s.Marker, []byte(s.boot()), 0o600) }

// isMarked reports whether that was noted since the machine has started.
func (s *Switch) isMarked() bool {
	boot, err := os.ReadFile(s.Marker)
	return err == nil && string(boot) == s.boot()
}

// hold takes the lock, which others may hold, too. Without one, another supervisor may turn
// the switch off too early, and merging ends, which status shows.
func (s *Switch) hold() {
	if s.lock == nil {
		s.lock, _ = os.Open(s.path())
	}
	if s.lock != nil {
		_ = unix.FcntlFlock(s.lock.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
	}
}

// isAlone reports whether no other supervisor holds the lock. It takes none, so that several
// may ask at the same time.
func (s *Switch) isAlone() bool {
	f := s.lock
	if f == nil {
		var err error
		if f, err = os.Open(s.path()); err != nil {
			return true
		}
		defer f.Close()
	}
	found := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &found)
	return err != nil || found.Type == unix.F_UNLCK
}

func (s *Switch) release() {
	if s.lock != nil {
		_ = s.lock.Close()
		s.lock = nil
	}
}

func (s *Switch) path() string { return filepath.Join(s.Kernel.Sys, "run") }

func (s *Switch) read() (string, error) {
	b, err := os.ReadFile(s.path())
	return strings.TrimSpace(string(b)), err
}

// boot returns what is different after each start of the machine, when the switch is off.
func (s *Switch) boot() string {
	b, _ := os.ReadFile(filepath.Join(s.Kernel.Proc, "sys/kernel/random/boot_id")) // "" everywhere if there is none
	return strings.TrimSpace(string(b))
}
