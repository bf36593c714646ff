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
	mostLeftovers = 10  // leftovers of one process that are listed
	mostCommand   = 120 // bytes of a command line that are listed
)

// Leftover is a process that another one had started in its own process group, and that
// was killed when that one had exited.
type Leftover struct {
	PID     int
	Command string
}

// Leftovers returns the first leftovers of the process. It may be called after Done is
// closed.
func (p *Process) Leftovers() []Leftover { return p.leftovers }

// findLeftovers lists living members of the group of a process that has exited and was
// not reaped.
func (p *Process) findLeftovers() []Leftover {
	if !p.hasLeftovers() {
		return nil
	}
	var found []Leftover
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || !isAliveIn(path, p.pid) {
			continue
		}
		if found = append(found, Leftover{pid, commandOf(pid)}); len(found) == mostLeftovers {
			break
		}
	}
	return found
}

// hasLeftovers asks cheaply whether there are any. We are the subreaper, so at least the
// topmost process that the exited one had started is our child now. The exited one itself
// does not count, since waitid is not asked for processes that have exited.
func (p *Process) hasLeftovers() bool {
	err := unix.Waitid(unix.P_PGID, p.pid, nil, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	return !errors.Is(err, unix.ECHILD)
}

// isAliveIn reports whether a stat file is that of a living process in a group.
func isAliveIn(path string, group int) bool {
	b, _ := os.ReadFile(path) // the process may be gone
	// "pid (name) state parent group …"; the name may contain anything
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	return len(f) > 2 && string(f[0]) != "Z" && string(f[0]) != "X" && string(f[2]) == strconv.Itoa(group)
}

// commandOf returns the command line of a process, cut to mostCommand bytes.
func commandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // the process may be gone
	command := strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
	if len(command) > mostCommand {
		command = command[:mostCommand] + "…"
	}
	return command
}
