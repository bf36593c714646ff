package task

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

func TestService_IsHandedOverWithItsProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := newStage()
		before := NewService(old.options())
		run(t, before.Run)
		synctest.Wait()
		old.last().end(process.Exit{Code: 1})
		time.Sleep(firstWait)
		synctest.Wait()
		h, resume := before.Pause()
		defer resume()

		next := newStage()
		v := NewService(next.options())
		v.Inherit(h, next.stop)
		early, resume := v.Pause()
		resume()
		if st := v.Status(); early.Process != h.Process || st.State != "running" || st.PID != 101 {
			t.Errorf("before Run: process %v, %+v", early.Process, st)
		}
		stop, _ := run(t, v.Run)
		wantEvents(t, next)
		if st := v.Status(); st.State != "running" || st.PID != 101 || st.Restarts != 1 || st.LastExit == "" {
			t.Errorf("got %+v, want process 101, started again once", st)
		}
		time.Sleep(10 * time.Second)
		stop()
		wantEvents(t, next, "10s stopping 101: supervisor stop, terminated, 5s", "10s ended 101: supervisor stop, signal terminated (15), age 10s")
	})
}

func TestService_IsHandedOverWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := newStage()
		before := NewService(old.options())
		stop, _ := run(t, before.Run)
		for range 3 {
			synctest.Wait()
			old.last().end(process.Exit{Code: 1})
			time.Sleep(250 * time.Millisecond)
		}
		stop() // otherwise it waits for a mutex, and the clock of the bubble stands still
		synctest.Wait()
		h, _ := before.Pause()
		if h.Process != nil || h.Wait != 400*time.Millisecond {
			t.Fatalf("got %+v, want no process and 400ms", h)
		}
		next := newStage()
		v := NewService(next.options())
		v.Inherit(h, next.stop)
		run(t, v.Run)
		wantEvents(t, next)
		time.Sleep(400 * time.Millisecond)
		wantEvents(t, next, "400ms started 100")
		next.last().end(process.Exit{Code: 1})
		time.Sleep(800 * time.Millisecond)
		wantEvents(t, next, "400ms ended 100: crash, exit status 1, age 0s", "1.2s started 101")
	})
}

func TestJob_IsHandedOverWithItsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old := newStage()
		before := NewJob(every(time.Minute), old.options())
		run(t, before.Run)
		time.Sleep(time.Minute)
		synctest.Wait()
		h, resume := before.Pause()
		defer resume()

		next := newStage()
		j := NewJob(every(time.Minute), next.options())
		j.Inherit(h, next.stop)
		run(t, j.Run)
		time.Sleep(61 * time.Second)
		wantEvents(t, next, "1m0s skipped: the last run has not ended (pid 100)")
		if st := j.Status(); st.PID != 100 || st.Runs != 1 || st.Skipped != 1 {
			t.Errorf("got %+v, want run 1, process 100", st)
		}
		old.last().end(process.Exit{})
		wantEvents(t, next, "1m1s ended 100: done, exit status 0, age 1m1s")
	})
}

// TestJob_DueWhileItIsHandedOver: the run starts late, and once.
func TestJob_DueWhileItIsHandedOver(t *testing.T) {
	t.Parallel()
	const late = "1m2s started 100"
	for name, test := range map[string]struct {
		due  func(*Job) // how far the image before gets
		want []string
	}{
		"before the timer fired": {func(*Job) {}, []string{late}},
		"before it was started":  {func(j *Job) { j.claim() }, []string{late}},
		"when it was started":    {func(j *Job) { j.claim(); _, _ = j.start(time.Now()) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				next := newStage()
				before := NewJob(every(time.Minute), newStage().options())
				stop, _ := run(t, before.Run)
				time.Sleep(59 * time.Second)
				stop() // otherwise it waits for a mutex, and the clock of the bubble stands still
				time.Sleep(time.Second)
				test.due(before)
				h, _ := before.Pause()
				time.Sleep(2 * time.Second)

				j := NewJob(every(time.Hour), next.options())
				j.Inherit(h, next.stop)
				run(t, j.Run)
				time.Sleep(10 * time.Minute)
				wantEvents(t, next, test.want...)
			})
		})
	}
}
