package task

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// fake is a process that exits when a test says so, or when it is told to.
type fake struct {
	pid      int
	once     sync.Once
	done     chan struct{}
	exit     process.Exit
	stubborn bool // it ignores signals but SIGKILL
	told     bool // before a handover
	signals  []syscall.Signal
}

func (f *fake) PID() int              { return f.pid }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Exit() process.Exit    { return f.exit }
func (f *fake) Kill()                 { f.end(process.Exit{Signal: 9}) }

func (f *fake) Signal(signal syscall.Signal) error {
	f.signals = append(f.signals, signal)
	if !f.stubborn {
		f.end(process.Exit{Signal: signal})
	}
	return nil
}

func (f *fake) end(exit process.Exit) {
	f.once.Do(func() {
		f.exit = exit
		close(f.done)
	})
}

// stage starts fake processes and records the events.
type stage struct {
	mu sync.Mutex
	// mu protects all below
	begin     time.Time
	processes []*fake
	most      int // processes that ran at once
	events    []string
	fail      error // of the next starts
	stubborn  bool
	overlap   bool
	stop      Stop
}

func newStage() *stage {
	return &stage{begin: time.Now(), stop: Stop{5 * time.Second, syscall.SIGTERM}}
}

func (s *stage) options() Options {
	return Options{
		Start: func() (Process, Stop, error) {
			p, err := s.start()
			return p, s.stop, err
		},
		Overlap: func() bool { return s.overlap },
		Observe: s.observe,
	}
}

func (s *stage) start() (Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	p := &fake{pid: 100 + len(s.processes), done: make(chan struct{}), stubborn: s.stubborn}
	s.processes = append(s.processes, p)
	running := 0
	for _, p := range s.processes {
		select {
		case <-p.done:
		default:
			running++
		}
	}
	s.most = max(s.most, running)
	return p, nil
}

func (s *stage) observe(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%v %s %d", e.Time.Sub(s.begin), e.Kind, e.PID)
	switch {
	case e.Err != nil:
		text = fmt.Sprintf("%v %s: %v", e.Time.Sub(s.begin), e.Kind, e.Err)
	case e.Kind == Stopping:
		text += fmt.Sprintf(": %s, %s, %v", e.Reason, e.Stop.Signal, e.Stop.Timeout)
	case e.Kind == Exited && e.Overran > 0:
		text += fmt.Sprintf(": %s, %s after %v, age %v", e.Reason, e.Exit, e.Overran, e.Age)
	case e.Kind == Exited:
		text += fmt.Sprintf(": %s, %s, age %v", e.Reason, e.Exit, e.Age)
	}
	s.events = append(s.events, text)
}

// last returns the process that was started last.
func (s *stage) last() *fake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processes[len(s.processes)-1]
}

// took returns the events since its last call.
func (s *stage) took() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events
	s.events = nil
	return events
}

// run runs a task until the test ends.
func run(t *testing.T, f func(ctx, force context.Context)) (stop, kill func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	force, kill := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx, force)
	}()
	t.Cleanup(func() { stop(); kill(); <-done })
	return stop, kill
}

// words returns the exit of the process as a status shows it.
func (f *fake) words(end string) string { return fmt.Sprintf("pid %d: %s", f.pid, end) }
