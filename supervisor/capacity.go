package supervisor

import (
	"fmt"
	"os"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/worker/process"
)

// needs is what one worker of a site takes.
type needs struct{ memory, tasks, files int64 }

// leastNeeds is what every worker of such a site takes: less than most do.
func leastNeeds(c *config.Site) needs {
	if c.Kind != config.WSGI {
		return needs{memory: 8 * megabyte, tasks: 6, files: 8}
	}
	n := needs{memory: 2 * megabyte, tasks: 1, files: 2 + 2*int64(c.Threads)}
	if c.Threads > 1 {
		n.tasks += int64(c.Threads)
	}
	return n
}

// mostMeasured is how many workers of a site are measured to know what one needs.
const mostMeasured = 8

// needs is what a worker of the site takes, as far as some are there to be measured.
func (t *site) needs(c *config.Site) needs {
	n, sum, measured := leastNeeds(c), int64(0), int64(0)
	for _, w := range t.pool.Status().Workers {
		if w.Worker == nil || measured == mostMeasured {
			continue
		}
		if m, err := process.ReadMemory(w.Worker.PID()); err == nil {
			sum, measured = sum+m.USS, measured+1
		}
		n.tasks = max(n.tasks, process.Tasks(w.Worker.PID()))
	}
	if measured > 0 {
		n.memory = max(n.memory, sum/measured)
	}
	return n
}

// rooms are what bounds the number of a site's workers.
type rooms struct{ memory, tasks, files process.Room }

// uidOf is who a site's processes are.
func uidOf(c *config.Site) int {
	if c.Account != nil {
		return c.Account.UID
	}
	return os.Geteuid()
}

// roomsFor is what is left for a site beside all that runs.
func roomsFor(c *config.Site) rooms {
	return rooms{process.MemoryRoom(process.FreeNow), process.TaskRoom(process.FreeNow, uidOf(c), c.TasksLimit), process.FileRoom(process.FreeNow)}
}

// refuse says why a site that has some workers can not have n; "": it can.
func (r rooms) refuse(n, have int, each needs) string {
	var bounds []string
	tooMany := false
	for _, b := range []struct {
		what string
		room process.Room
		each int64
		by   string
	}{
		{"memory", r.memory, each.memory, fmt.Sprintf("each %.1f MB", float64(each.memory)/megabyte)},
		{"processes", r.tasks, each.tasks, r.tasks.By},
		{"open files", r.files, each.files, r.files.By},
	} {
		if b.room.By == "" {
			continue
		}
		most := int64(have) + max(0, b.room.Left)/b.each
		tooMany = tooMany || int64(n) > most
		bounds = append(bounds, fmt.Sprintf("%s for about %d (%s)", b.what, most, b.by))
	}
	if !tooMany {
		return ""
	}
	return fmt.Sprintf("%d workers are too many: this machine has %s", n, strings.Join(bounds, ", "))
}

// hasRoomFor tells whether the site can have n workers now, beside all that runs.
func (t *site) hasRoomFor(c *config.Site, n int) error {
	have := len(t.pool.Status().Workers)
	if n <= have {
		return nil
	}
	if why := roomsFor(c).refuse(n, have, t.needs(c)); why != "" {
		return &control.Error{Message: fmt.Sprintf("site %s: %s", t.name, why)}
	}
	return nil
}

// hasRoomFor tells whether each site can have the workers that sites.toml gives it more
// than it did.
func (s *Supervisor) hasRoomFor(cfg *config.Config) error {
	for _, c := range cfg.Sites {
		if t, err := s.site(c.Name); err == nil && c.Processes.Min > t.config().Processes.Min {
			if err := t.hasRoomFor(c, c.Processes.Min); err != nil {
				return err
			}
		}
	}
	return nil
}

// ideal is what sites could have if nothing else ran here.
type ideal struct {
	memory, files process.Room
	tasks         map[taskBound]process.Room // once for all sites that have it in common
}

type taskBound struct{ uid, limit int }

func newIdeal() ideal {
	return ideal{process.MemoryRoom(process.InTotal), process.FileRoom(process.InTotal), map[taskBound]process.Room{}}
}

// refuse says why a site can not have n workers; "": it can.
func (i ideal) refuse(c *config.Site, n int) string {
	b := taskBound{uidOf(c), c.TasksLimit}
	if _, known := i.tasks[b]; !known {
		i.tasks[b] = process.TaskRoom(process.InTotal, b.uid, b.limit)
	}
	return rooms{i.memory, i.tasks[b], i.files}.refuse(n, 0, leastNeeds(c))
}

// CheckProcesses finds sites that are to have more workers than this machine could hold
// if nothing else ran on it.
func CheckProcesses(cfg *config.Config) error {
	var problems tomlfile.Problems
	machine := newIdeal()
	for _, c := range cfg.Sites {
		if why := machine.refuse(c, c.Processes.Max); why != "" {
			problems = append(problems, tomlfile.Problem{Position: c.Position, Key: "site." + c.Name + ".processes", Message: why})
		}
	}
	return problems.Err()
}

// roomForOne tells whether one more process of a site can be started beside what keeps
// the others running. What only its own user has run out of is not asked: it may be the
// old worker that has all, and the system says it where it matters.
func roomForOne(c *config.Site) error {
	r := process.TaskRoom(process.FreeNow, os.Geteuid(), 0)
	if r.By != "" && r.Left < leastNeeds(c).tasks {
		return fmt.Errorf("no room for another worker: %s leaves %d processes and threads, and %d are kept for what runs", r.By, max(0, r.Left+r.Reserved), r.Reserved)
	}
	return nil
}
