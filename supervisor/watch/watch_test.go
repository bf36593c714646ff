package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs a Watcher and returns the bursts that it reports.
func watched(t *testing.T, subjects map[string]Subject) (*Watcher, <-chan []string) {
	t.Helper()
	w, err := New(Options{Quiet: 500 * time.Millisecond}) // files are written faster than that on any machine
	if err != nil {
		t.Fatal(err)
	}
	if !w.Set(subjects) {
		t.Error("Set has found no directory")
	}
	ctx, cancel := context.WithCancel(t.Context())
	bursts, done := make(chan []string, 100), make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, func(_ context.Context, names []string) { bursts <- names })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w, bursts
}

func python(path string) bool { return strings.HasSuffix(path, ".py") }

func wantBurst(t *testing.T, bursts <-chan []string, want ...string) {
	t.Helper()
	select {
	case got := <-bursts:
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("waited for %q", want)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatcher_OneBurst(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	_, bursts := watched(t, map[string]Subject{
		"one": {[]string{a}, python}, "two": {[]string{a}, python}, "other": {[]string{b}, python},
	})
	for _, name := range []string{"x.py", "y.py", "x.py", "z.py"} {
		write(t, filepath.Join(a, name))
	}
	wantBurst(t, bursts, "one", "two")
	write(t, filepath.Join(b, "data.sqlite3")) // does not matter
	write(t, filepath.Join(b, "x.py"))
	wantBurst(t, bursts, "other")
	if err := os.Chtimes(filepath.Join(a, "x.py"), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	wantBurst(t, bursts, "one", "two")
	if err := os.Remove(filepath.Join(a, "x.py")); err != nil {
		t.Fatal(err)
	}
	wantBurst(t, bursts, "one", "two")
	if len(bursts) != 0 {
		t.Errorf("more: %q", <-bursts)
	}
}

func TestWatcher_Directories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	never := func(string) bool { return false }
	w, bursts := watched(t, map[string]Subject{"x": {[]string{dir}, never}})
	for range 2 { // a directory that is created again is a new one
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		wantBurst(t, bursts, "x")
		if !w.Set(map[string]Subject{"x": {[]string{dir, sub}, python}}) {
			t.Error("the directory is not new")
		}
		if w.Set(map[string]Subject{"x": {[]string{dir, sub}, python}}) {
			t.Error("a directory that is watched is new")
		}
		write(t, filepath.Join(sub, "x.py"))
		wantBurst(t, bursts, "x")
		if err := os.RemoveAll(sub); err != nil {
			t.Fatal(err)
		}
		wantBurst(t, bursts, "x")
	}
	w.Set(map[string]Subject{})
	write(t, filepath.Join(dir, "x.py"))
	w.Set(map[string]Subject{"y": {[]string{dir}, python}})
	write(t, filepath.Join(dir, "x.py"))
	wantBurst(t, bursts, "y")
}

func TestBurst_EndsAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := burst{quiet: time.Second, ends: map[string]time.Time{}}
		if _, any := b.next(); any {
			t.Error("ends without a change")
		}
		b.note([]string{"b", "a"}, time.Now())
		time.Sleep(900 * time.Millisecond)
		b.note([]string{"c"}, time.Now())
		b.note([]string{"a"}, time.Now())
		time.Sleep(100 * time.Millisecond)
		if at, _ := b.next(); !at.Equal(time.Now()) {
			t.Errorf("next is in %v", time.Until(at))
		}
		if got := b.take(time.Now()); !slices.Equal(got, []string{"b"}) {
			t.Errorf("got %q", got)
		}
		time.Sleep(900 * time.Millisecond)
		if got := b.take(time.Now()); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("got %q", got)
		}
		if _, any := b.next(); any {
			t.Error("still due")
		}
	})
}

// TestWatcher_NeverTwiceAtATime: changes during a call are reported after it.
func TestWatcher_NeverTwiceAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := New(Options{Quiet: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w.Set(map[string]Subject{"x": {[]string{dir}, python}})
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, func(context.Context, []string) { entered <- struct{}{}; <-leave })
	}()
	write(t, filepath.Join(dir, "x.py"))
	<-entered
	write(t, filepath.Join(dir, "y.py"))
	select {
	case <-entered:
		t.Error("called twice at a time")
	case <-time.After(50 * time.Millisecond):
	}
	leave <- struct{}{}
	<-entered
	cancel()
	close(leave)
	<-done
}
