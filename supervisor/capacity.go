package supervisor

import (
	"fmt"
	"os"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/capacity"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
)

// needsOf returns what every worker of a site takes at least.
func needsOf(c *config.Site) capacity.Needs {
	if c.Kind != config.WSGI {
		return capacity.GoNeeds()
	}
	return capacity.PythonNeeds(c.Threads)
}

// limitsOf returns what limits the workers of a site beside the machine.
func limitsOf(c *config.Site) capacity.Site {
	s := capacity.Site{UID: os.Geteuid(), TasksLimit: c.TasksLimit}
	if c.Account != nil {
		s.UID = c.Account.UID
	}
	return s
}

// hasRoomFor returns an error if the site cannot have n workers now.
func (t *site) hasRoomFor(c *config.Site, n int) error {
	workers := t.pool.Status().Workers
	if n <= len(workers) {
		return nil
	}
	var pids []int
	for _, w := range workers {
		if w.Worker != nil {
			pids = append(pids, w.Worker.PID())
		}
	}
	if why := capacity.RefuseNow(limitsOf(c), n, len(workers), needsOf(c).Measured(pids)); why != "" {
		return &control.Error{Message: fmt.Sprintf("site %s: %s", t.name, why)}
	}
	return nil
}

// hasRoomFor returns an error if a site cannot have the workers that sites.toml gives
// it in addition to those it had.
func (s *Supervisor) hasRoomFor(cfg *config.Config) error {
	for _, c := range cfg.Sites {
		if t, err := s.sites.find(c.Name); err == nil && c.Processes.Min > t.config().Processes.Min {
			if err := t.hasRoomFor(c, c.Processes.Min); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckProcesses returns an error that names each site with more workers than this
// machine could hold if nothing else ran on it.
func CheckProcesses(cfg *config.Config) error {
	var problems tomlfile.Problems
	machine := capacity.NewMachine()
	for _, c := range cfg.Sites {
		if why := machine.Refuse(limitsOf(c), c.Processes.Max, needsOf(c)); why != "" {
			problems = append(problems, tomlfile.Problem{Position: c.Position, Key: "site." + c.Name + ".processes", Message: why})
		}
	}
	return problems.Err()
}

// roomForOne returns an error if this machine has no room for another process of a site.
func roomForOne(c *config.Site) error { return capacity.RoomForOne(needsOf(c)) }
