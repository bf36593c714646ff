package task

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// every is a schedule whose times are the multiples of a duration.
type every time.Duration

func (e every) Next(after time.Time) time.Time {
	return after.Truncate(time.Duration(e)).Add(time.Duration(e))
}

func TestJob_RunsWhenItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins at midnight
		s := newStage()
		j := NewJob(every(5*time.Minute), s.options())
		run(t, j.Run)
		wantEvents(t, s)
		if st := j.Status(); !st.Next.Equal(s.begin.Add(5 * time.Minute)) {
			t.Errorf("next %v", st.Next)
		}
		time.Sleep(6 * time.Minute)
		wantEvents(t, s, "5m0s started 100")
		if st := j.Status(); st.PID != 100 || st.Runs != 1 || !st.Next.Equal(s.begin.Add(10*time.Minute)) {
			t.Errorf("got %+v", st)
		}
		s.last().end(process.Exit{Code: 3})
		wantEvents(t, s, "6m0s ended 100: done, exit status 3, age 1m0s")
		if st := j.Status(); st.PID != 0 || st.LastExit != "pid 100: done, exit status 3" {
			t.Errorf("got %+v", st)
		}
		time.Sleep(4 * time.Minute)
		wantEvents(t, s, "10m0s started 101")
	})
}

func TestJob_NeverTwiceAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		j := NewJob(every(time.Minute), s.options())
		run(t, j.Run)
		time.Sleep(3*time.Minute + time.Second)
		s.last().end(process.Exit{})
		time.Sleep(time.Minute)
		wantEvents(t, s, "1m0s started 100",
			"2m0s skipped: the last run has not ended (pid 100)", "3m0s skipped: the last run has not ended (pid 100)",
			"3m1s ended 100: done, exit status 0, age 2m1s", "4m0s started 101")
		if st := j.Status(); st.Skipped != 2 || st.Runs != 2 || s.most != 1 {
			t.Errorf("got %+v, %d at once", st, s.most)
		}
	})
}

func TestJob_ThatDoesNotStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.fail = errors.New("no such file")
		j := NewJob(every(time.Minute), s.options())
		run(t, j.Run)
		time.Sleep(2 * time.Minute)
		wantEvents(t, s, "1m0s failed to start: no such file", "2m0s failed to start: no such file")
		if st := j.Status(); st.LastExit != "not started: no such file" || st.Runs != 0 {
			t.Errorf("got %+v", st)
		}
	})
}

func TestJob_SetSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		j := NewJob(every(time.Minute), s.options())
		run(t, j.Run)
		time.Sleep(90 * time.Second)
		j.SetSchedule(every(time.Hour))
		time.Sleep(time.Hour)
		s.last().end(process.Exit{})
		wantEvents(t, s, "1m0s started 100",
			"1h0m0s skipped: the last run has not ended (pid 100)", "1h1m30s ended 100: done, exit status 0, age 1h0m30s")
	})
}

func TestJob_StopsItsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		j := NewJob(every(time.Minute), s.options())
		stop, _ := run(t, j.Run)
		time.Sleep(90 * time.Second)
		stop()
		time.Sleep(time.Hour)
		wantEvents(t, s, "1m0s started 100", "1m30s stopping 100: supervisor stop, terminated, 5s", "1m30s ended 100: supervisor stop, signal terminated (15), age 30s")
	})
}

// asleep is a schedule on a machine whose clock jumps, as after a suspend: its first time
// has passed long ago when the timer fires.
type asleep struct {
	every
	past *time.Time
}

func (a asleep) Next(after time.Time) time.Time {
	if a.past.IsZero() {
		*a.past = after.Add(-time.Hour)
		return *a.past
	}
	return a.every.Next(after)
}

func TestJob_SkipsWhatItMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		j := NewJob(asleep{every(5 * time.Minute), &time.Time{}}, s.options())
		run(t, j.Run)
		time.Sleep(5 * time.Minute)
		wantEvents(t, s, "0s skipped: missed: the machine or the supervisor was not awake", "5m0s started 100")
	})
}
