package task

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

func wantEvents(t *testing.T, s *stage, want ...string) {
	t.Helper()
	if got := s.took(); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestService_IsStartedAgainEverLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		v := NewService(s.options())
		run(t, v.Run)
		for i, wait := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000} {
			wait *= time.Millisecond
			s.took()
			s.last().end(process.Exit{Code: 1})
			synctest.Wait()
			if st := v.Status(); st.State != "waiting" || st.PID != 0 || st.Restarts != i+1 || st.LastExit != s.last().words("crash, exit status 1") || st.Looping != (i >= 2) {
				t.Errorf("after end %d: %+v", i+1, st)
			}
			time.Sleep(wait - 1)
			if got := s.took(); len(got) != 1 {
				t.Errorf("end %d: got %q before %v had passed", i+1, got, wait)
			}
			time.Sleep(time.Nanosecond)
			if got := s.took(); len(got) != 1 {
				t.Errorf("end %d: got %q after %v", i+1, got, wait)
			}
		}
		time.Sleep(5 * time.Minute) // it lives long: the next failure counts as the first
		if v.Status().Looping {
			t.Error("one that has lived long is in a loop")
		}
		s.last().end(process.Exit{Code: 1})
		s.took()
		time.Sleep(firstWait)
		if got := s.took(); len(got) != 1 {
			t.Errorf("one that had lived long was not started again at once: %q", got)
		}
	})
}

func TestService_ThatDoesNotStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.fail = errors.New("no such file")
		v := NewService(s.options())
		run(t, v.Run)
		wantEvents(t, s, "0s failed to start: no such file")
		time.Sleep(300 * time.Millisecond)
		wantEvents(t, s, "100ms failed to start: no such file", "300ms failed to start: no such file")
		if st := v.Status(); st != (ServiceStatus{State: "waiting", LastExit: "not started: no such file", Looping: true}) {
			t.Errorf("got %+v", st)
		}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		<-v.Restart("reload") // it starts the process at once
		wantEvents(t, s, "300ms started 100")
	})
}

func TestService_Restart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		s.stubborn = true
		v := NewService(s.options())
		run(t, v.Run)
		s.took()
		<-v.Restart("reload")
		wantEvents(t, s, "0s stopping 100: reload, terminated, 5s", "5s ended 100: reload, signal killed (9) after 5s, age 5s", "5s started 101")
		want := s.processes[0].words("reload, signal killed (9) after stop_timeout = 5s")
		if st := v.Status(); st.State != "running" || st.PID != 101 || st.Restarts != 0 || st.LastExit != want {
			t.Errorf("got %+v, want %s: it may have lost its work", st, want)
		}
		if s.most != 1 {
			t.Errorf("%d processes at once", s.most)
		}
	})
}

func TestService_Stops(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		stubborn bool
		force    bool
		want     string
	}{
		{"when it is told to", false, false, "0s ended 100: supervisor stop, signal terminated (15), age 0s"},
		{"after its grace", true, false, "5s ended 100: supervisor stop, signal killed (9) after 5s, age 5s"},
		{"at once", true, true, "1s ended 100: supervisor stop, signal killed (9), age 1s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage()
				s.stubborn = test.stubborn
				v := NewService(s.options())
				stop, kill := run(t, v.Run)
				s.took()
				stop()
				time.Sleep(time.Second)
				if test.force {
					kill()
				}
				<-v.Restart("too late") // is closed when Run has returned
				wantEvents(t, s, "0s stopping 100: supervisor stop, terminated, 5s", test.want)
				if st := v.Status(); st.State != "stopped" || st.PID != 0 {
					t.Errorf("got %+v", st)
				}
			})
		})
	}
}
