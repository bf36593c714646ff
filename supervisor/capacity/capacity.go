// Package capacity tells how many workers this machine has room for, by its memory, its
// processes and threads, and its open files, and whether its processors are busy. It
// only measures and calculates: it starts nothing and holds nothing back.
package capacity

import (
	"fmt"
	"os"
	"strings"

	"github.com/multisite/multisite/worker/process"
)

const megabyte = 1_000_000

// Needs is what one worker takes.
type Needs struct {
	Memory int64 // bytes
	Tasks  int64 // processes and threads
	Files  int64 // open files of the supervisor
}

// GoNeeds returns what every Go worker takes at least.
func GoNeeds() Needs { return Needs{Memory: 8 * megabyte, Tasks: 6, Files: 8} }

// PythonNeeds returns what every Python worker takes at least.
func PythonNeeds(threads int) Needs {
	n := Needs{Memory: 2 * megabyte, Tasks: 1, Files: 2 + 2*int64(threads)}
	if threads > 1 {
		n.Tasks += int64(threads)
	}
	return n
}

// maxMeasured is how many workers are measured to know what one needs.
const maxMeasured = 8

// Measured returns n raised to what running workers of the same kind take on average.
func (n Needs) Measured(pids []int) Needs {
	var sum, measured int64
	for _, pid := range pids[:min(len(pids), maxMeasured)] {
		if m, err := process.ReadMemory(pid); err == nil {
			sum, measured = sum+m.USS, measured+1
		}
		n.Tasks = max(n.Tasks, process.Tasks(pid))
	}
	if measured > 0 {
		n.Memory = max(n.Memory, sum/measured)
	}
	return n
}

// Site is what limits the workers of a site beside the machine itself.
type Site struct {
	UID        int // of its processes
	TasksLimit int // of that user, as sites.toml says; 0: none
}

// room is how much there is of each resource.
type room struct{ memory, tasks, files process.Room }

// RefuseNow returns why a site that has some workers cannot have n of them now, beside
// everything else that runs; "" if it can. Each worker takes the same.
func RefuseNow(s Site, n, have int, each Needs) string {
	return room{process.MemoryRoom(process.FreeNow), process.TaskRoom(process.FreeNow, s.UID, s.TasksLimit), process.FileRoom(process.FreeNow)}.refuse(n, have, each)
}

func (r room) refuse(n, have int, each Needs) string {
	var limits []string
	tooMany := false
	for _, l := range []struct {
		what string
		room process.Room
		each int64
		by   string
	}{
		{"memory", r.memory, each.Memory, fmt.Sprintf("each %.1f MB", float64(each.Memory)/megabyte)},
		{"processes", r.tasks, each.Tasks, r.tasks.By},
		{"open files", r.files, each.Files, r.files.By},
	} {
		if l.room.By == "" { // there is no limit
			continue
		}
		most := int64(have) + max(0, l.room.Left)/l.each
		tooMany = tooMany || int64(n) > most
		limits = append(limits, fmt.Sprintf("%s for about %d (%s)", l.what, most, l.by))
	}
	if !tooMany {
		return ""
	}
	return fmt.Sprintf("%d workers are too many: this machine has %s", n, strings.Join(limits, ", "))
}

// Machine is this machine if nothing ran on it. It is used by one goroutine.
type Machine struct {
	memory, files process.Room
	tasks         map[Site]process.Room // computed once for all sites with the same limits
}

// NewMachine returns what this machine could hold.
func NewMachine() Machine {
	return Machine{process.MemoryRoom(process.InTotal), process.FileRoom(process.InTotal), map[Site]process.Room{}}
}

// Refuse returns why a site cannot have n workers, even if nothing else ran; "" if it can.
func (m Machine) Refuse(s Site, n int, each Needs) string {
	if _, known := m.tasks[s]; !known {
		m.tasks[s] = process.TaskRoom(process.InTotal, s.UID, s.TasksLimit)
	}
	return room{m.memory, m.tasks[s], m.files}.refuse(n, 0, each)
}

// RoomForOne returns an error if one more process would take what keeps the others
// running. The limit of the site's own user does not count: its old worker may have used
// it up, and the kernel reports it where it matters.
func RoomForOne(each Needs) error {
	r := process.TaskRoom(process.FreeNow, os.Geteuid(), 0)
	if r.By != "" && r.Left < each.Tasks {
		return fmt.Errorf("no room for another worker: %s leaves %d processes and threads, and %d are kept for what runs", r.By, max(0, r.Left+r.Reserved), r.Reserved)
	}
	return nil
}
