package task

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// applyWithin applies a spec and waits at most for the time.
func (c *cast) applyWithin(t *testing.T, wait time.Duration, spec Spec) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	c.set.Apply(ctx, c.with(spec), "reload", false)
}

// long returns a spec of one service that may finish its work for an hour.
func long(path string, signal syscall.Signal) Spec {
	s := spec(path)
	s.Services[0].Stop = Stop{time.Hour, signal}
	return s
}

// TestSet_ApplyDoesNotWaitForWork: what it does not wait for happens later, a task that
// was removed is in the status until it has ended, and if it comes back it starts then.
func TestSet_ApplyDoesNotWaitForWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCast(long("a", syscall.SIGTERM))
		c.stubborn = true
		c.set.Start(t.Context())
		c.wantStarted(t, "service.s0 a")
		c.applyWithin(t, time.Second, Spec{})
		if took := time.Since(c.begin); took != time.Second {
			t.Errorf("Apply took %v, want 1s", took)
		}
		if services, _ := c.set.Status(); len(services) != 1 || services[0].Name != "s0" || services[0].State != "stopping" || services[0].PID != 100 {
			t.Errorf("status %+v, want the removed service", services)
		}
		if got := c.set.Stopping(); len(got) != 1 || got[0].PID != 100 || !got[0].By.Equal(c.begin.Add(time.Hour)) {
			t.Errorf("stopping %+v", got)
		}
		c.applyWithin(t, time.Second, long("b", syscall.SIGTERM))
		c.wantStarted(t)
		c.last().end(process.Exit{})
		c.wantStarted(t, "service.s0 b")
		if services, _ := c.set.Status(); len(services) != 1 || services[0].State != "running" || services[0].PID != 101 {
			t.Errorf("status %+v, want the new process", services)
		}
		c.last().stubborn = false
		c.set.Stop()
		c.set.Start(t.Context())
		c.wantStarted(t)
	})
}

// TestSet_StopsAsTheCommandWants: a new stop_signal counts for the process that runs,
// unless it is that of another command.
func TestSet_StopsAsTheCommandWants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		path string // of the command after the reload
		want syscall.Signal
	}{
		{"the same command", "a", syscall.SIGQUIT},
		{"another command", "b", syscall.SIGTERM},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCast(long("a", syscall.SIGTERM))
				c.set.Start(t.Context())
				synctest.Wait()
				c.applyWithin(t, time.Second, long(test.path, syscall.SIGQUIT))
				c.set.Stop()
				if got := c.processes[0].signals; !slices.Equal(got, []syscall.Signal{test.want}) {
					t.Errorf("it was sent %v, want %v", got, test.want)
				}
			})
		})
	}
}

// TestSet_InheritsWhatWasRemoved: a task that the next image does not have finishes there,
// with the time and the signal of the image before.
func TestSet_InheritsWhatWasRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		with := long("a", syscall.SIGQUIT)
		with.Jobs = []JobSpec{{"j", minutely{}, Command{Path: "b"}, Stop{time.Hour, syscall.SIGINT}}}
		before := newCast(with)
		before.stubborn = true
		before.set.Start(t.Context())
		time.Sleep(time.Minute)
		synctest.Wait()
		states := map[ID]Handover{}
		_ = before.set.Pause(func(id ID, h Handover, resume func()) error { // it returns what this does
			states[id] = h
			resume()
			return nil
		})
		after := newCast(Spec{})
		for id, h := range states {
			after.twins(&h)
			after.set.Inherit(id, h)
			states[id] = h
		}
		after.set.Start(t.Context())
		synctest.Wait()
		if services, jobs := after.set.Status(); len(services) != 1 || services[0].State != "stopping" || len(jobs) != 1 || jobs[0].StopBy.IsZero() {
			t.Errorf("status %+v %+v", services, jobs)
		}
		for id, want := range map[ID]syscall.Signal{{KindService, "s0"}: syscall.SIGQUIT, {KindJob, "j"}: syscall.SIGINT} {
			if got := states[id].Process.(*fake).signals; !slices.Equal(got, []syscall.Signal{want}) {
				t.Errorf("%s was sent %v, want %v", id, got, want)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(after.set.Processes()); got != 0 {
			t.Errorf("%d tasks run after their time", got)
		}
		for _, p := range before.processes {
			p.end(process.Exit{})
		}
		before.set.Stop()
	})
}
