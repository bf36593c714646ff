package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestLock_OneSupervisorForADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	first, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = takeLock(dir)
	var running *RunningError
	if !errors.As(err, &running) || running.PID != fmt.Sprint(os.Getpid()) || running.StateDir != dir {
		t.Fatalf("the second gets %v, want a RunningError with this process", err)
	}
	first.release()
	second, err := takeLock(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.release()
}

// TestLock_ADeadSupervisorIsInNobodysWay: its number in the file means nothing.
func TestLock_ADeadSupervisorIsInNobodysWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(pidFile(dir), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(pidFile(dir)); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("the file says %q, %v, want our pid", b, err)
	}
	if !l.stale {
		t.Error("nobody looks for what the dead one left")
	}
	l.release()
	next, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer next.release()
	if next.stale {
		t.Error("one that has ended by itself was killed")
	}
}

// TestWatch_ReturnsWhenTheProcessHasEnded, not when its lock is free.
func TestWatch_ReturnsWhenTheProcessHasEnded(t *testing.T) {
	t.Parallel()
	cat := exec.CommandContext(t.Context(), "cat")
	stdin, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	wait, err := Watch(cat.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- wait() }()
	select {
	case <-waited:
		t.Error("it did not wait")
	default:
	}
	stdin.Close()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if err := cat.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := Watch(cat.Process.Pid); err == nil {
		t.Error("a process that has ended can be watched")
	}
}
