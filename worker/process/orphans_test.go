package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// TestReapOrphans_TakesOnlyOrphans runs in a process of its own, which is a subreaper and
// looks far more often than a supervisor does.
func TestReapOrphans_TakesOnlyOrphans(t *testing.T) {
	t.Parallel()
	if os.Getenv("PROCESS_TEST_REAPER") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReapOrphans_TakesOnlyOrphans$", "-test.v")
		cmd.Env = append(os.Environ(), "PROCESS_TEST_REAPER=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reaping sync.WaitGroup
	reaping.Go(func() { ReapOrphans(ctx, time.Millisecond) })
	defer reaping.Wait()
	defer cancel()

	late := exec.Command("/bin/sh", "-c", "exit 5") // it is dead long before Wait is called
	if err := late.Start(); err != nil {
		t.Fatal(err)
	}
	orphans := make(chan string, 1000)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 25 {
				out, err := NewOutput(nil, func(line string) { orphans <- line })
				if err != nil {
					t.Error(err)
					return
				}
				p, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", "setsid sh -c 'echo $$' & wait; setsid sh -c 'echo $$; exec sleep 0.05' & exit 7"}, Output: out, Env: os.Environ()})
				if err != nil {
					t.Error(err)
					return
				}
				<-p.Done()
				if got := p.Exit(); got != (Exit{Code: 7}) {
					t.Errorf("got %v, want exit status 7", got)
				}
				cmd := exec.Command("/bin/sh", "-c", "exit 5")
				if _ = cmd.Run(); cmd.ProcessState.ExitCode() != 5 {
					t.Errorf("package os got %v, want exit status 5", cmd.ProcessState)
				}
			}
		})
	}
	running.Wait()
	close(orphans)
	n := 0
	for pid := range orphans {
		n++
		waitReaped(t, pid)
	}
	if _ = late.Wait(); late.ProcessState.ExitCode() != 5 {
		t.Errorf("one that is waited for late: %v, want exit status 5", late.ProcessState)
	}
	if n < 200 {
		t.Errorf("%d orphans printed their pid, want 200 or more", n)
	}
}

// waitReaped waits until a process is gone, even as a zombie.
func waitReaped(t *testing.T, pid string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for procState(pid) != "" {
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there (state %s)", pid, procState(pid))
		}
	}
}

// TestReapOrphans_KnowsItsOwn checks the two questions by which it finds orphans.
func TestReapOrphans_KnowsItsOwn(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec sleep 1000", nil)
	if pids := withPidfd(); !pids[p.PID()] {
		t.Errorf("no pidfd of %d among %v", p.PID(), fmt.Sprint(pids))
	}
	if deadChildren()[p.PID()] {
		t.Error("a running process counts as dead")
	}
}
