package statedir

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

func TestLock_OneSupervisorForADirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	first, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = TakeLock(dir)
	var running *RunningError
	if !errors.As(err, &running) || running.PID != fmt.Sprint(os.Getpid()) || running.StateDir != dir {
		t.Fatalf("the second gets %v, want a RunningError with this process", err)
	}
	if want := "multisite already runs for " + dir + " (pid " + running.PID + ")"; running.Error() != want {
		t.Errorf("it says %q, want %q", running.Error(), want)
	}
	first.Release()
	second, err := TakeLock(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.Release()
}

// TestLock_OfADeadSupervisor: its number in the file means nothing.
func TestLock_OfADeadSupervisor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(lockFile(dir), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(lockFile(dir)); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("the file says %q, %v, want our pid", b, err)
	}
	if !l.Stale() {
		t.Error("not stale, although the one before was killed")
	}
	l.Release()
	next, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if next.Stale() {
		t.Error("stale, although the one before has released it")
	}
}

// TestWatch_ReturnsWhenTheProcessHasExited, not when its lock is released.
func TestWatch_ReturnsWhenTheProcessHasExited(t *testing.T) {
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

// TestLock_MarkIsOfTheFile: the path to it does not matter.
func TestLock_MarkIsOfTheFile(t *testing.T) {
	t.Parallel()
	mark := func(dir string) string {
		t.Helper()
		l, err := TakeLock(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		m, err := l.Mark()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	base := t.TempDir()
	first := mark(filepath.Join(base, "a", "state"))
	if !regexp.MustCompile(`^MULTISITE_LOCK=\d+:\d+$`).MatchString(first) {
		t.Errorf("got %q", first)
	}
	if err := os.Symlink("a", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if got := mark(filepath.Join(base, "link", "state")); got != first {
		t.Errorf("by another path: %q, want %q", got, first)
	}
	if got := mark(filepath.Join(base, "b")); got == first {
		t.Errorf("another directory has the same mark %q", got)
	}
}

// TestInheritLock: the lock goes on with its file, and is not stale.
func TestInheritLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := InheritLock(l.File())
	if next.Stale() {
		t.Error("an inherited lock is stale")
	}
	var running *RunningError
	if _, err := TakeLock(dir); !errors.As(err, &running) {
		t.Errorf("got %v, want that it is locked", err)
	}
	next.Release()
	again, err := TakeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}
