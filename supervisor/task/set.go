package task

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

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

// ServiceSpec describes a service.
type ServiceSpec struct {
	Name    string
	Command Command
}

// JobSpec describes a job.
type JobSpec struct {
	Name     string
	Schedule Schedule
	Command  Command
}

// Spec describes the tasks of a site, and how their processes are started.
type Spec struct {
	Services []ServiceSpec
	Jobs     []JobSpec
	Start    func(ID, Command) (Process, error)
}

// SetOptions are what a Set is made of.
type SetOptions struct {
	Grace func() time.Duration // from SIGTERM to SIGKILL

	// Observe is called for each event, with the process that has exited if e.Kind is
	// Exited.
	Observe func(id ID, e Event, exited Process)
}

// Set is the services and jobs of one site.
type Set struct {
	opts SetOptions

	mu sync.Mutex
	// mu protects all below. No task is waited for while it is held.
	spec       Spec
	run        func(run func(ctx, force context.Context)) (end func(reason string)) // starts a task; nil before Start and after Stop
	stopReason string                                                               // why processes exit when Stop is called
	services   map[string]runningService                                            // by name
	jobs       map[string]runningJob                                                // by name
	processes  map[ID]Process                                                       // the last one of each task; it may have exited
	inherited  map[ID]Handover                                                      // of an upgrade, until the task is started
}

type runningService struct {
	*Service
	end func(reason string) // returns when Run has
}

type runningJob struct {
	*Job
	end func(reason string) // returns when Run has
}

// NewSet returns the tasks of a site. Nothing starts before Start.
func NewSet(spec Spec, o SetOptions) *Set {
	return &Set{
		opts: o, spec: spec, stopReason: ReasonStop, services: map[string]runningService{}, jobs: map[string]runningJob{},
		processes: map[ID]Process{}, inherited: map[ID]Handover{},
	}
}

// Inherit makes a task go on where that of the image before stopped. It is called before
// Start.
func (s *Set) Inherit(id ID, h Handover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited[id] = h
	if h.Process != nil {
		s.processes[id] = h.Process
	}
}

// Start starts all tasks. When force ends their processes are killed.
func (s *Set) Start(force context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = func(run func(ctx, force context.Context)) func(string) {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan struct{})
		go func() { // ends with the function that is returned, which Stop or Apply calls
			defer close(done)
			run(ctx, force)
		}()
		return func(reason string) {
			cancel(StopReason(reason))
			<-done
		}
	}
	s.startMissingLocked()
}

// SetStopReason sets why processes will exit when Stop is called.
func (s *Set) SetStopReason(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopReason = reason
}

// Stop ends all tasks, and returns when their processes have exited.
func (s *Set) Stop() {
	s.mu.Lock()
	s.run = nil
	ends := s.removeLocked(s.stopReason, func(ID) bool { return true })
	s.mu.Unlock()
	together(ends)
}

// Apply changes the tasks to those of spec: it ends the others, starts new ones, and
// restarts services whose command has changed, or all services. It returns when that is
// done.
func (s *Set) Apply(spec Spec, reason string, restartAll bool) {
	s.mu.Lock()
	old := s.spec
	s.spec = spec
	ends := s.removeLocked(reason, func(id ID) bool { return !spec.has(id) })
	for name, running := range s.services {
		id := ID{KindService, name}
		if was, now := old.command(id), spec.command(id); restartAll || was.Path != now.Path || !slices.Equal(was.Args, now.Args) {
			ends = append(ends, func() { running.Restart(reason) })
		}
	}
	for _, j := range spec.Jobs {
		if running, ok := s.jobs[j.Name]; ok {
			running.SetSchedule(j.Schedule)
		}
	}
	s.startMissingLocked()
	s.mu.Unlock()
	together(ends)
}

// removeLocked removes tasks from the set, and returns the functions that end them.
func (s *Set) removeLocked(reason string, remove func(ID) bool) (ends []func()) {
	for name, running := range s.services {
		if remove(ID{KindService, name}) {
			ends = append(ends, func() { running.end(reason) })
			delete(s.services, name)
		}
	}
	for name, running := range s.jobs {
		if remove(ID{KindJob, name}) {
			ends = append(ends, func() { running.end(reason) })
			delete(s.jobs, name)
		}
	}
	return ends
}

// startMissingLocked starts the tasks of the spec that do not run yet.
func (s *Set) startMissingLocked() {
	if s.run == nil {
		return
	}
	for _, c := range s.spec.Services {
		if _, runs := s.services[c.Name]; !runs {
			id := ID{KindService, c.Name}
			service := NewService(s.options(id))
			if h, ok := s.inherited[id]; ok {
				service.Inherit(h)
				delete(s.inherited, id)
			}
			s.services[c.Name] = runningService{service, s.run(service.Run)}
		}
	}
	for _, c := range s.spec.Jobs {
		if _, runs := s.jobs[c.Name]; !runs {
			id := ID{KindJob, c.Name}
			job := NewJob(c.Schedule, s.options(id))
			if h, ok := s.inherited[id]; ok {
				job.Inherit(h)
				delete(s.inherited, id)
			}
			s.jobs[c.Name] = runningJob{job, s.run(job.Run)}
		}
	}
}

// options returns the options of a task, which starts what the spec says at that moment.
func (s *Set) options(id ID) Options {
	return Options{
		Start: func() (Process, error) {
			s.mu.Lock()
			spec := s.spec
			s.mu.Unlock()
			p, err := spec.Start(id, spec.command(id))
			if err == nil {
				s.mu.Lock()
				s.processes[id] = p
				s.mu.Unlock()
			}
			return p, err
		},
		Grace: s.opts.Grace,
		Observe: func(e Event) {
			var exited Process
			if e.Kind == Exited {
				exited = s.process(id, e.PID)
			}
			s.opts.Observe(id, e, exited)
		},
	}
}

// process returns the last process of a task if it has this pid, otherwise nil.
func (s *Set) process(id ID, pid int) Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.processes[id]; p != nil && p.PID() == pid {
		return p
	}
	return nil
}

// Processes returns the processes that run.
func (s *Set) Processes() map[ID]Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	running := maps.Clone(s.processes)
	maps.DeleteFunc(running, func(_ ID, p Process) bool {
		select {
		case <-p.Done():
			return true
		default:
			return false
		}
	})
	return running
}

// Status returns what all tasks of the spec are doing, in its order.
func (s *Set) Status() (spec Spec, services []ServiceStatus, jobs []JobStatus) {
	s.mu.Lock()
	spec, running, entries := s.spec, maps.Clone(s.services), maps.Clone(s.jobs)
	s.mu.Unlock()
	for _, c := range spec.Services {
		st := ServiceStatus{State: "stopped"}
		if r, ok := running[c.Name]; ok {
			st = r.Status()
		}
		services = append(services, st)
	}
	for _, c := range spec.Jobs {
		st := JobStatus{}
		if r, ok := entries[c.Name]; ok {
			st = r.Status()
		}
		jobs = append(jobs, st)
	}
	return spec, services, jobs
}

// Pause lets no process be started, and calls f with the state of each task that runs
// and what lets it start processes again. It returns the first error of f.
func (s *Set) Pause(f func(id ID, h Handover, resume func()) error) error {
	s.mu.Lock()
	services, jobs := maps.Clone(s.services), maps.Clone(s.jobs)
	s.mu.Unlock()
	for name, running := range services {
		h, resume := running.Pause()
		if err := f(ID{KindService, name}, h, resume); err != nil {
			return err
		}
	}
	for name, running := range jobs {
		h, resume := running.Pause()
		if err := f(ID{KindJob, name}, h, resume); err != nil {
			return err
		}
	}
	return nil
}

// Has reports whether the spec of the set has a task.
func (s *Set) Has(id ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec.has(id)
}

func (s Spec) has(id ID) bool {
	if id.Kind == KindService {
		return slices.ContainsFunc(s.Services, func(c ServiceSpec) bool { return c.Name == id.Name })
	}
	return slices.ContainsFunc(s.Jobs, func(c JobSpec) bool { return c.Name == id.Name })
}

// command returns the command of a task; the zero value if there is none.
func (s Spec) command(id ID) Command {
	for _, c := range s.Services {
		if id == (ID{KindService, c.Name}) {
			return c.Command
		}
	}
	for _, c := range s.Jobs {
		if id == (ID{KindJob, c.Name}) {
			return c.Command
		}
	}
	return Command{}
}

// together calls functions at the same time, and returns when all have returned.
func together(calls []func()) {
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(call)
	}
	wg.Wait()
}
