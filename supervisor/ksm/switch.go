// Package ksm drives kernel samepage merging (Documentation/admin-guide/mm/ksm.rst): the
// kernel thread ksmd looks for equal pages of the processes that have opted in, and lets
// them share one. The workers opt in by themselves (merge_pages.py). This package turns
// the kernel's switch on and off, finds other users that have opted in, and reads what
// was merged.
//
// The switch is the whole machine's. It is never turned off unless this package has turned
// it on, and no page is unmerged by force: the kernel would kill the process that asks
// for that if memory ran out.
package ksm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Kernel is where the files of the kernel are. Tests have files of their own.
type Kernel struct {
	Sys  string // /sys/kernel/mm/ksm
	Proc string // /proc
}

// Linux is where the kernel has its files.
var Linux = Kernel{Sys: "/sys/kernel/mm/ksm", Proc: "/proc"}

// Switch is the kernel's switch for all merging of the machine.
type Switch struct {
	Kernel Kernel
	Marker string // file that says in which boot of the machine the switch was turned on by us
}

// On reports whether ksmd runs.
func (s Switch) On() bool {
	run, err := s.read()
	return err == nil && run == "1"
}

// TurnOn turns the switch on, and reports whether it was off before.
func (s Switch) TurnOn() (changed bool, err error) {
	run, err := s.read()
	if errors.Is(err, fs.ErrNotExist) {
		return false, errors.New("this kernel cannot merge pages: there is no " + s.path())
	}
	if err != nil || run == "1" {
		return false, err
	}
	if err := os.WriteFile(s.Marker, []byte(s.boot()), 0o600); err != nil {
		return false, err
	}
	if err := os.WriteFile(s.path(), []byte("1"), 0o644); err != nil {
		_ = os.Remove(s.Marker) // nothing has changed
		return false, fmt.Errorf("nothing is merged until root writes 1 to %s: %w", s.path(), err)
	}
	return true, nil
}

// TurnOff turns the switch off if it was turned on by TurnOn, also by that of an earlier
// supervisor, and reports whether it did.
func (s Switch) TurnOff() (changed bool, err error) {
	boot, err := os.ReadFile(s.Marker)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if string(boot) == s.boot() && s.On() {
		if err := os.WriteFile(s.path(), []byte("0"), 0o644); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, os.Remove(s.Marker)
}

func (s Switch) path() string { return filepath.Join(s.Kernel.Sys, "run") }

func (s Switch) read() (string, error) {
	b, err := os.ReadFile(s.path())
	return strings.TrimSpace(string(b)), err
}

// boot returns what is different after each start of the machine, when the switch is off.
func (s Switch) boot() string {
	b, _ := os.ReadFile(filepath.Join(s.Kernel.Proc, "sys/kernel/random/boot_id")) // "" everywhere if there is none
	return strings.TrimSpace(string(b))
}
