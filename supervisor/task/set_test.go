package task

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// cast is a set of tasks whose processes are fakes.
type cast struct {
	*stage
	set     *Set
	started []string // "ID PATH" of each process
	exited  []Process
}

func newCast(spec Spec) *cast {
	c := &cast{stage: newStage()}
	c.set = NewSet(c.with(spec), SetOptions{
		Observe: func(id ID, e Event) {
			c.observe(e)
			c.mu.Lock()
			defer c.mu.Unlock()
			if e.Process != nil {
				c.exited = append(c.exited, e.Process)
			}
		},
	})
	return c
}

// with lets the processes of a spec be fakes.
func (c *cast) with(spec Spec) Spec {
	spec.Start = func(id ID, command Command) (Process, error) {
		p, err := c.start()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.started = append(c.started, fmt.Sprint(id, " ", command.Path))
		return p, err
	}
	return spec
}

// wantStarted fails unless these processes were started since the last call.
func (c *cast) wantStarted(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.started)
	if !slices.Equal(c.started, want) {
		t.Errorf("started %q, want %q", c.started, want)
	}
	c.started = nil
}

// hourly is due at each full hour.
type hourly struct{}

func (hourly) Next(after time.Time) time.Time { return after.Truncate(time.Hour).Add(time.Hour) }

// minutely is due at each full minute.
type minutely struct{}

func (minutely) Next(after time.Time) time.Time {
	return after.Truncate(time.Minute).Add(time.Minute)
}

// second is how the processes of these tests are stopped.
var second = Stop{time.Second, syscall.SIGTERM}

// spec returns services s0, s1 and so on with these commands.
func spec(paths ...string) (s Spec) {
	for i, path := range paths {
		s.Services = append(s.Services, ServiceSpec{Name: fmt.Sprint("s", i), Command: Command{Path: path}, Stop: second})
	}
	return s
}

func TestSet_StartsAndStopsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		with := spec("a", "b")
		with.Jobs = []JobSpec{{"j", hourly{}, Command{Path: "c"}, second}}
		c := newCast(with)
		c.wantStarted(t)
		c.set.Start(t.Context())
		c.wantStarted(t, "service.s0 a", "service.s1 b")
		time.Sleep(time.Hour)
		c.wantStarted(t, "cron.j c")
		if got := len(c.set.Processes()); got != 3 {
			t.Errorf("%d processes run, want 3", got)
		}
		c.set.SetStopReason("reload")
		c.took()
		c.set.Stop()
		if got := len(c.set.Processes()); got != 0 {
			t.Errorf("%d processes run after Stop", got)
		}
		if events := c.took(); len(events) != 6 || !slices.ContainsFunc(events, func(e string) bool { return e == "1h0m0s ended 100: reload, signal terminated (15), age 1h0m0s" }) {
			t.Errorf("events %q", events)
		}
		if len(c.exited) != 3 { // nothing runs any more
			t.Errorf("observed with %d processes, want 3", len(c.exited))
		}
	})
}

// TestSet_ApplyTouchesWhatChanged: what stays the same runs on.
func TestSet_ApplyTouchesWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(spec("a", "b", "c"))
		c.set.Start(t.Context())
		c.wantStarted(t, "service.s0 a", "service.s1 b", "service.s2 c")
		next := c.with(spec("a", "changed"))
		next.Services = append(next.Services, ServiceSpec{Name: "new", Command: Command{Path: "d"}, Stop: second})
		c.set.Apply(t.Context(), next, "reload", false)
		c.wantStarted(t, "service.new d", "service.s1 changed")
		if got := len(c.set.Processes()); got != 3 {
			t.Errorf("%d processes run, want 3: one is removed", got)
		}
		arguments := c.with(spec("a", "changed"))
		arguments.Services[0].Command.Args = []string{"-v"}
		c.set.Apply(t.Context(), arguments, "reload", false)
		c.wantStarted(t, "service.s0 a")
		c.set.Apply(t.Context(), arguments, "restart", true)
		c.wantStarted(t, "service.s0 a", "service.s1 changed")
		c.set.Stop()
	})
}

func TestSet_ApplyChangesSchedules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(Spec{Jobs: []JobSpec{{"j", hourly{}, Command{Path: "old"}, second}}})
		c.set.Start(t.Context())
		c.set.Apply(t.Context(), c.with(Spec{Jobs: []JobSpec{{"j", minutely{}, Command{Path: "new"}, second}}}), "reload", false)
		time.Sleep(time.Minute)
		c.wantStarted(t, "cron.j new")
		c.set.Stop()
	})
}

// TestSet_ApplyBeforeStart starts what the last spec says, and nothing after Stop.
func TestSet_ApplyBeforeStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(spec("a"))
		c.set.Apply(t.Context(), c.with(spec("b")), "reload", true)
		c.wantStarted(t)
		c.set.Start(t.Context())
		c.wantStarted(t, "service.s0 b")
		c.set.Stop()
		c.set.Apply(t.Context(), c.with(spec("b", "c")), "reload", true)
		c.wantStarted(t)
	})
}

// TestSet_HandsOverAndInherits: a process runs on in the next set.
func TestSet_HandsOverAndInherits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		with := spec("a")
		with.Jobs = []JobSpec{{"j", hourly{}, Command{Path: "b"}, second}}
		before := newCast(with)
		before.set.Start(t.Context())
		synctest.Wait()
		states := map[ID]Handover{}
		var resume []func()
		err := before.set.Pause(func(id ID, h Handover, r func()) error {
			states[id], resume = h, append(resume, r)
			return nil
		})
		service := ID{KindService, "s0"}
		if err != nil || len(states) != 2 || states[service].Process == nil || states[ID{KindJob, "j"}].Process != nil {
			t.Fatalf("%v, got %v", err, states)
		}
		after := newCast(with)
		for id, h := range states {
			after.set.Inherit(id, h)
		}
		after.set.Start(t.Context())
		after.wantStarted(t)
		if got := after.set.Processes()[service]; len(got) != 1 || got[0] != states[service].Process {
			t.Errorf("processes %v, want the inherited one", got)
		}
		if services, _ := after.set.Status(); len(services) != 1 || services[0].PID != 100 {
			t.Errorf("status %+v, want the inherited process", services)
		}
		after.set.Stop()
		for _, r := range resume {
			r()
		}
		before.set.Stop()
	})
}

func TestSet_PauseReturnsTheFirstError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(spec("a", "b"))
		c.set.Start(t.Context())
		synctest.Wait()
		full, calls := errors.New("no descriptor"), 0
		err := c.set.Pause(func(_ ID, _ Handover, resume func()) error {
			resume()
			calls++
			return full
		})
		if err != full || calls != 1 {
			t.Errorf("got %v after %d calls", err, calls)
		}
		c.set.Stop()
	})
}

// TestSet_StatusOfATaskThatDoesNotRun is in the order of the spec.
func TestSet_StatusOfATaskThatDoesNotRun(t *testing.T) {
	t.Parallel()
	with := spec("a", "b")
	with.Jobs = []JobSpec{{"j", hourly{}, Command{}, second}}
	s := NewSet(with, SetOptions{})
	services, jobs := s.Status()
	if len(services) != 2 || services[0].State != "stopped" || services[1].Name != "s1" || len(jobs) != 1 || jobs[0].PID != 0 {
		t.Errorf("got %+v, %+v", services, jobs)
	}
	if with.has(ID{KindJob, "s0"}) || with.has(ID{KindService, "j"}) || !with.has(ID{KindJob, "j"}) {
		t.Error("a service is taken for a job of its name, or a job is not found")
	}
}

// TestSet_ForceKills: a process that ignores SIGTERM is killed when force ends.
func TestSet_ForceKills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(spec("a"))
		c.stubborn = true
		force, kill := context.WithCancel(t.Context())
		c.set.Start(force)
		synctest.Wait()
		kill()
		begin := time.Now()
		c.set.Stop()
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
