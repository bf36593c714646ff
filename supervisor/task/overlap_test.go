package task

import (
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// finishing is a stage whose processes exit only when the test says so.
func finishing(overlap bool) *stage {
	s := newStage()
	s.stubborn, s.overlap = true, overlap
	return s
}

// open reports whether a restart has not been done.
func open(restarted <-chan struct{}) bool {
	synctest.Wait()
	return !isClosed(restarted)
}

// TestService_FinishesBeforeTheNextStarts: without overlap there is one process at a time,
// and one new process for all restarts that come while the old one finishes.
func TestService_FinishesBeforeTheNextStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := finishing(false)
		s.stop.Signal = syscall.SIGQUIT
		v := NewService(s.options())
		run(t, v.Run)
		s.took()
		first := v.Restart("reload")
		time.Sleep(time.Second)
		second := v.Restart("restart")
		if st := v.Status(); st.State != "stopping" || st.PID != 100 || !st.StopBy.Equal(s.begin.Add(5*time.Second)) {
			t.Errorf("got %+v", st)
		}
		if !open(first) || !open(second) {
			t.Error("a restart is done while the old process works")
		}
		time.Sleep(time.Second)
		s.last().end(process.Exit{})
		<-first
		<-second
		wantEvents(t, s, "0s stopping 100: reload, quit, 5s", "2s ended 100: reload, exit status 0, age 2s", "2s started 101")
		if st := v.Status(); st.State != "running" || st.PID != 101 || st.LastExit != "" || s.most != 1 {
			t.Errorf("got %+v, %d processes at once", st, s.most)
		}
		if got := s.processes[0].signals; !slices.Equal(got, []syscall.Signal{syscall.SIGQUIT}) {
			t.Errorf("it was sent %v", got)
		}
	})
}

// TestService_Overlap: the new process starts at once. A restart that comes while an old
// process finishes waits for that.
func TestService_Overlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := finishing(true)
		v := NewService(s.options())
		run(t, v.Run)
		s.took()
		<-v.Restart("reload")
		wantEvents(t, s, "0s stopping 100: reload, terminated, 5s", "0s started 101")
		st := v.Status()
		if want := (OldStatus{100, s.begin.Add(5 * time.Second)}); st.State != "running" || st.PID != 101 || st.Old != want {
			t.Errorf("got %+v", st)
		}
		time.Sleep(time.Second)
		second := v.Restart("reload")
		wantEvents(t, s)
		if !open(second) {
			t.Error("the second restart is done while there are two processes")
		}
		time.Sleep(time.Second)
		s.processes[0].end(process.Exit{})
		<-second
		wantEvents(t, s, "2s ended 100: reload, exit status 0, age 2s", "2s stopping 101: reload, terminated, 5s", "2s started 102")
		time.Sleep(5 * time.Second)
		wantEvents(t, s, "7s ended 101: reload, signal killed (9) after 5s, age 7s")
		if st := v.Status(); st.PID != 102 || st.Old.PID != 0 || st.Restarts != 0 || s.most != 2 {
			t.Errorf("got %+v, %d processes at once", st, s.most)
		}
	})
}

// TestService_OverlapCrash: the new process is started again while the old one finishes.
func TestService_OverlapCrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := finishing(true)
		v := NewService(s.options())
		run(t, v.Run)
		synctest.Wait()
		<-v.Restart("reload")
		s.took()
		s.last().end(process.Exit{Code: 1})
		time.Sleep(firstWait)
		wantEvents(t, s, "0s ended 101: crash, exit status 1, age 0s", "100ms started 102")
		if st := v.Status(); st.PID != 102 || st.Old.PID != 100 || st.Restarts != 1 || s.most != 2 {
			t.Errorf("got %+v, %d processes at once", st, s.most)
		}
		if got := s.processes[0].signals; len(got) != 1 {
			t.Errorf("the old process was sent %v, want one signal", got)
		}
	})
}

// TestService_OverlapStops: the old process keeps its own time, and force kills both.
func TestService_OverlapStops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		force bool
		want  []string
	}{
		{"in time", false, []string{"5s ended 100: reload, signal killed (9) after 5s, age 5s", "7s ended 101: supervisor stop, signal killed (9) after 5s, age 7s"}},
		{"at once", true, []string{"3s ended 100: reload, signal killed (9), age 3s", "3s ended 101: supervisor stop, signal killed (9), age 3s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := finishing(true)
				v := NewService(s.options())
				stop, kill := run(t, v.Run)
				synctest.Wait()
				<-v.Restart("reload")
				time.Sleep(2 * time.Second)
				stop()
				time.Sleep(time.Second)
				s.took()
				if test.force {
					kill()
				}
				<-v.done
				got := s.took()
				slices.Sort(got) // both exit at once
				if !slices.Equal(got, test.want) {
					t.Errorf("got\n%q\nwant\n%q", got, test.want)
				}
				if <-v.Restart("late"); s.most != 2 {
					t.Errorf("%d processes at once", s.most)
				}
			})
		})
	}
}

// twins replaces the processes of a handover by others, so that they can be followed apart
// from those of the image before, which goes on in a test.
func (s *stage) twins(h *Handover) []*fake {
	var twins []*fake
	twin := func(p Process, told *Told) Process {
		if p == nil {
			return nil
		}
		f := &fake{pid: p.PID(), done: make(chan struct{}), stubborn: true, told: told != nil}
		twins = append(twins, f)
		return f
	}
	h.Process, h.Old = twin(h.Process, h.Told), twin(h.Old, h.OldTold)
	return twins
}

// TestService_IsHandedOverWhileItFinishes: the process keeps the time that is left, and is
// told once; what a restart waits for is started by the next image.
func TestService_IsHandedOverWhileItFinishes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		overlap bool
		want    []string
	}{
		{"alone", false, []string{"5s ended 100: reload, signal killed (9) after 5s, age 5s", "5s started 100"}},
		{"beside the new one, which is to be replaced", true, []string{
			"5s ended 100: reload, signal killed (9) after 5s, age 5s",
			"5s stopping 101: again, terminated, 5s", "5s started 100", "10s ended 101: again, signal killed (9) after 5s, age 10s",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				old := finishing(test.overlap)
				before := NewService(old.options())
				run(t, before.Run)
				synctest.Wait()
				before.Restart("reload")
				synctest.Wait()
				before.Restart("again")
				synctest.Wait()
				h, resume := before.Pause()
				resume() // otherwise it waits for a mutex, and the clock of the bubble stands still
				next := finishing(test.overlap)
				next.begin = old.begin
				twins := next.twins(&h)
				v := NewService(next.options())
				v.Inherit(h, next.stop)
				if got, resume := v.Pause(); got.Process != h.Process || got.Old != h.Old || got.Restart != h.Restart || (got.Told == nil) != (h.Told == nil) {
					t.Errorf("another upgrade at once hands over %+v, want %+v", got, h)
				} else {
					resume()
				}
				run(t, v.Run)
				time.Sleep(10 * time.Second)
				got := next.took()
				if !slices.Equal(got, test.want) {
					t.Errorf("got\n%q\nwant\n%q", got, test.want)
				}
				for _, p := range twins {
					if p.told && len(p.signals) != 0 {
						t.Errorf("process %d was told to exit again", p.pid)
					}
				}
			})
		})
	}
}

// TestJob_IsHandedOverWhileItFinishes: so is the run of a job.
func TestJob_IsHandedOverWhileItFinishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := finishing(false)
		before := NewJob(every(time.Minute), old.options())
		stop, _ := run(t, before.Run)
		time.Sleep(time.Minute)
		old.took()
		stop()
		time.Sleep(time.Second)
		if st := before.Status(); !st.StopBy.Equal(old.begin.Add(65 * time.Second)) {
			t.Errorf("got %+v", st)
		}
		h, resume := before.Pause()
		resume()
		next := finishing(false)
		next.begin = old.begin
		twins := next.twins(&h)
		j := NewJob(every(time.Hour), next.options())
		j.Inherit(h, Stop{})
		run(t, j.Run)
		time.Sleep(10 * time.Second)
		wantEvents(t, next, "1m5s ended 100: supervisor stop, signal killed (9) after 5s, age 5s")
		if len(twins) != 1 || len(twins[0].signals) != 0 {
			t.Errorf("%d processes, told to exit again", len(twins))
		}
	})
}
