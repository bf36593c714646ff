package task

import "slices"

// Kind is the kind of a task, as people read it in logs and status.
type Kind string

// The kinds of tasks.
const (
	KindService Kind = "service"
	KindJob     Kind = "cron"
)

// ID names a task of a Set.
type ID struct {
	Kind Kind
	Name string
}

func (id ID) String() string { return string(id.Kind) + "." + id.Name }

// Command is a program and its arguments.
type Command struct {
	Path string
	Args []string
}

func (c Command) equal(other Command) bool {
	return c.Path == other.Path && slices.Equal(c.Args, other.Args)
}

// ServiceSpec describes a service.
type ServiceSpec struct {
	Name    string
	Command Command
	Stop    Stop
	Overlap bool // a restart starts the new process while the old one finishes
}

// JobSpec describes a job.
type JobSpec struct {
	Name     string
	Schedule Schedule
	Command  Command
	Stop     Stop
}

// Spec describes the tasks of a site, and how their processes are started.
type Spec struct {
	Services []ServiceSpec
	Jobs     []JobSpec
	Start    func(ID, Command) (Process, error)
}

// service returns the description of a service, and whether there is one.
func (s Spec) service(name string) (ServiceSpec, bool) {
	for _, c := range s.Services {
		if c.Name == name {
			return c, true
		}
	}
	return ServiceSpec{}, false
}

func (s Spec) job(name string) (JobSpec, bool) {
	for _, c := range s.Jobs {
		if c.Name == name {
			return c, true
		}
	}
	return JobSpec{}, false
}

func (s Spec) has(id ID) bool {
	_, is := s.service(id.Name)
	if id.Kind == KindJob {
		_, is = s.job(id.Name)
	}
	return is
}

// process returns what a task runs and how that is stopped; zero values if there is no
// such task.
func (s Spec) process(id ID) (Command, Stop) {
	if id.Kind == KindJob {
		c, _ := s.job(id.Name)
		return c.Command, c.Stop
	}
	c, _ := s.service(id.Name)
	return c.Command, c.Stop
}
