package task

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Status returns what all tasks are doing: those of the spec in its order, and then those
// that were removed and have not ended.
func (s *Set) Status() (services []ServiceStatus, jobs []JobStatus) {
	s.mu.Lock()
	spec, members := s.spec, maps.Clone(s.members)
	s.mu.Unlock()
	for _, c := range spec.Services {
		st := ServiceStatus{State: "stopped"}
		if m := members[ID{KindService, c.Name}]; m != nil {
			st = m.service.Status()
		}
		st.Name = c.Name
		services = append(services, st)
	}
	for _, c := range spec.Jobs {
		st := JobStatus{}
		if m := members[ID{KindJob, c.Name}]; m != nil {
			st = m.job.Status()
		}
		st.Name, st.Schedule = c.Name, c.Schedule
		jobs = append(jobs, st)
	}
	removed := slices.SortedFunc(maps.Keys(members), func(a, b ID) int { return strings.Compare(a.Name, b.Name) })
	for _, id := range removed {
		m := members[id]
		switch {
		case spec.has(id):
		case m.job != nil:
			st := m.job.Status()
			st.Name = id.Name
			jobs = append(jobs, st)
		default:
			st := m.service.Status()
			st.Name = id.Name
			services = append(services, st)
		}
	}
	return services, jobs
}

// StoppingStatus is a process that was told to exit.
type StoppingStatus struct {
	ID  ID
	PID int
	By  time.Time // when it is killed
}

// Stopping returns the processes that were told to exit and have not exited.
func (s *Set) Stopping() (stopping []StoppingStatus) {
	services, jobs := s.Status()
	add := func(kind Kind, name string, pid int, by time.Time) {
		if !by.IsZero() {
			stopping = append(stopping, StoppingStatus{ID{kind, name}, pid, by})
		}
	}
	for _, st := range services {
		add(KindService, st.Name, st.PID, st.StopBy)
		add(KindService, st.Name, st.Old.PID, st.Old.StopBy)
	}
	for _, st := range jobs {
		add(KindJob, st.Name, st.PID, st.StopBy)
	}
	return stopping
}
