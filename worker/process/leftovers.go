package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxCompanions = 10  // more of them are not named
	maxCommand    = 120 // bytes of a command line
)

// Leftover is what a process had started, and what was killed when that had ended.
type Leftover struct {
	PID     int
	Command string
}

// Leftovers are what ended with the process, the first of them. It may be called
// after Done is closed.
func (p *Process) Leftovers() []Leftover { return p.companions }

// findCompanions looks for living members of the group of a process that has ended and
// was not reaped.
func (p *Process) findCompanions() []Leftover {
	if !p.hasCompanions() {
		return nil
	}
	var found []Leftover
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || !isAliveIn(path, p.pid) {
			continue
		}
		if found = append(found, Leftover{pid, commandOf(pid)}); len(found) == maxCompanions {
			break
		}
	}
	return found
}

// hasCompanions asks cheaply. What the dead process had started is the child of the
// subreaper that we are, at least its topmost member; the dead one is not counted, as
// we do not ask for who has exited (wait(2)).
func (p *Process) hasCompanions() bool {
	err := unix.Waitid(unix.P_PGID, p.pid, nil, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}

// isAliveIn tells whether the process of a stat file is a living one of a group.
func isAliveIn(path string, group int) bool {
	b, _ := os.ReadFile(path) // it may be gone
	// "pid (name) state parent group …"; the name may hold anything
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	return len(f) > 2 && string(f[0]) != "Z" && string(f[0]) != "X" && string(f[2]) == strconv.Itoa(group)
}

// commandOf is the command line of a process, as far as it can be read.
func commandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may be gone
	command := strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
	if len(command) > maxCommand {
		command = command[:maxCommand] + "…"
	}
	return command
}
