package task

import (
	"context"
	"maps"
	"sync"
)

// SetOptions are what a Set is made of.
type SetOptions struct {
	Observe func(id ID, e Event) // is called for each event
}

// Set is the services and jobs of one site.
//
// A task that is removed stays a member until its last process has exited. If it comes
// back before that, it starts then.
type Set struct {
	opts SetOptions

	mu sync.Mutex
	// mu protects all below. No task is waited for while it is held.
	spec       Spec
	force      context.Context // kills all processes when it ends; nil before Start and after Stop: nothing is started
	stopped    bool            // Stop was called: Start does nothing any more
	stopReason string
	members    map[ID]*member
	inherited  map[ID]Handover // of an upgrade, until the task is started
}

// member is a task of a Set, until its Run has returned.
type member struct {
	task             // service or job
	service *Service // nil: it is a job
	job     *Job     // nil: it is a service
	end     context.CancelCauseFunc
	done    chan struct{} // is closed when Run has returned
	leaving bool          // end was called
}

// task is what services and jobs have in common.
type task interface {
	Run(ctx, force context.Context)
	Pause() (h Handover, resume func())
	Inherit(h Handover, stop Stop)
	SetStop(stop Stop)
	processes() []Process
}

// NewSet returns the tasks of a site. Nothing starts before Start.
func NewSet(spec Spec, o SetOptions) *Set {
	return &Set{opts: o, spec: spec, stopReason: ReasonStop, members: map[ID]*member{}, inherited: map[ID]Handover{}}
}

// Inherit makes a task go on where that of the image before stopped. If the spec does not
// have it, Start ends it. Inherit is called before Start.
func (s *Set) Inherit(id ID, h Handover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inherited[id] = h
}

// Start starts all tasks. When force ends their processes are killed.
func (s *Set) Start(force context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.force = force
	for id := range s.inherited {
		if !s.spec.has(id) {
			m := s.newMember(id, noSchedule{})
			m.leaving = true
			s.runLocked(id, m, Stop{})
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
	s.force, s.stopped = nil, true
	ends := s.removeLocked(s.stopReason, func(ID) bool { return true })
	s.mu.Unlock()
	for _, done := range ends {
		<-done
	}
}

// Apply changes the tasks to those of spec: it ends the others, starts new ones, and
// restarts services whose command has changed, or all services. It returns when that is
// done, or when ctx ends; then the rest goes on.
func (s *Set) Apply(ctx context.Context, spec Spec, reason string, restartAll bool) {
	for _, done := range s.apply(spec, reason, restartAll) {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// apply returns a channel for each task that ends or is restarted, which is closed when
// that is done.
func (s *Set) apply(spec Spec, reason string, restartAll bool) (ends []<-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.spec
	s.spec = spec
	ends = s.removeLocked(reason, func(id ID) bool { return !spec.has(id) })
	for id, m := range s.members {
		if m.leaving {
			continue
		}
		was, _ := old.process(id)
		now, stop := spec.process(id)
		changed := !was.equal(now)
		if !changed { // otherwise stop is not for the process that runs
			m.SetStop(stop)
		}
		switch {
		case m.job != nil:
			entry, _ := spec.job(id.Name)
			m.job.SetSchedule(entry.Schedule)
		case restartAll || changed:
			ends = append(ends, m.service.Restart(reason))
		}
	}
	s.startMissingLocked()
	return ends
}

// removeLocked ends tasks. The channels are closed when they have ended.
func (s *Set) removeLocked(reason string, remove func(ID) bool) (ends []<-chan struct{}) {
	for id, m := range s.members {
		if !remove(id) {
			continue
		}
		ends = append(ends, m.done)
		if !m.leaving {
			m.leaving = true
			m.end(StopReason(reason))
		}
	}
	return ends
}

// startMissingLocked starts the tasks of the spec that are no members yet.
func (s *Set) startMissingLocked() {
	if s.force == nil {
		return
	}
	for _, c := range s.spec.Services {
		if id := (ID{KindService, c.Name}); s.members[id] == nil {
			s.runLocked(id, s.newMember(id, nil), c.Stop)
		}
	}
	for _, c := range s.spec.Jobs {
		if id := (ID{KindJob, c.Name}); s.members[id] == nil {
			s.runLocked(id, s.newMember(id, c.Schedule), c.Stop)
		}
	}
}

// newMember returns a task that does not run yet. Only a job has a schedule.
func (s *Set) newMember(id ID, schedule Schedule) *member {
	if id.Kind == KindJob {
		job := NewJob(schedule, s.options(id))
		return &member{task: job, job: job}
	}
	service := NewService(s.options(id))
	return &member{task: service, service: service}
}

// runLocked runs a task, which is a member until it has ended.
func (s *Set) runLocked(id ID, m *member, stop Stop) {
	if h, ok := s.inherited[id]; ok {
		m.Inherit(h, stop)
		delete(s.inherited, id)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	m.end, m.done = cancel, make(chan struct{})
	if m.leaving {
		cancel(StopReason(reasonRemoved))
	}
	s.members[id] = m
	force := s.force
	go func() { // ends with ctx, which Stop or Apply ends
		defer close(m.done)
		m.Run(ctx, force)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.members, id)
		s.startMissingLocked() // it may be wanted again
	}()
}

// options returns the options of a task, which starts what the spec says at that moment.
func (s *Set) options(id ID) Options {
	return Options{
		Start: func() (Process, Stop, error) {
			s.mu.Lock()
			spec := s.spec
			s.mu.Unlock()
			command, stop := spec.process(id)
			p, err := spec.Start(id, command)
			return p, stop, err
		},
		Overlap: func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			service, _ := s.spec.service(id.Name)
			return service.Overlap
		},
		Observe: func(e Event) { s.opts.Observe(id, e) },
	}
}

// Processes returns the processes that run. A service has two while an old one finishes
// beside the new one.
func (s *Set) Processes() map[ID][]Process {
	running := map[ID][]Process{}
	for id, m := range s.all() {
		if ps := m.processes(); len(ps) > 0 {
			running[id] = ps
		}
	}
	return running
}

// all returns the members of now.
func (s *Set) all() map[ID]*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.members)
}

// Pause lets no process be started or stopped, and calls f with the state of each task
// that runs and what lets it go on. It returns the first error of f.
func (s *Set) Pause(f func(id ID, h Handover, resume func()) error) error {
	for id, m := range s.all() {
		h, resume := m.Pause()
		if err := f(id, h, resume); err != nil {
			return err
		}
	}
	return nil
}
