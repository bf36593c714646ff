package logs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuckPipe returns both ends of a pipe that is full.
func stuckPipe(t *testing.T) (w, r *os.File) {
	t.Helper()
	fds := make([]int, 2)
	if err := unix.Pipe2(fds, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "read"), os.NewFile(uintptr(fds[1]), "write")
	t.Cleanup(func() { r.Close(); w.Close() })
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	return w, r
}

// TestLogs_ConsoleThatNobodyReads: it blocks no writer, the files get all lines, and
// when the console is read again it says how many it has not got.
func TestLogs_ConsoleThatNobodyReads(t *testing.T) {
	t.Parallel()
	w, r := stuckPipe(t)
	l := newLogs(t, w)
	const lines = 10000
	text := strings.Repeat("x", 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range lines {
			l.Write("blog", "blog/1", text)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("a writer waits for the console")
	}
	l.whole()
	if n := strings.Count(readLog(t, l, "blog"), "\n"); n != lines {
		t.Errorf("the file has %d lines, want %d", n, lines)
	}
	got, lost, in := 0, 0, bufio.NewReader(r)
	for lost == 0 {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, after, ok := strings.Cut(line, "lines are lost here: nobody has read them\" lines="); ok {
			if _, err := fmt.Sscanf(after, "%q", new(string)); err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Sscanf(strings.Trim(after, "\"\n"), "%d", &lost)
			continue
		}
		got++
	}
	if got+lost != lines {
		t.Errorf("the console got %d lines and lost %d, of %d", got, lost, lines)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }() // it ends with the test
}

// TestLogs_MovedAway: when a log file is renamed, as logrotate does, nothing more is
// written to it.
func TestLogs_MovedAway(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.Write("blog", "blog/1", "before")
	l.whole()
	if err := os.Rename(l.path("blog"), l.path("blog")+".old"); err != nil {
		t.Fatal(err)
	}
	l.Write("blog", "blog/1", "after")
	l.whole()
	if got := readLog(t, l, "blog"); !strings.HasSuffix(got, " blog/1 after\n") || strings.Contains(got, "before") {
		t.Errorf("the new file has %q", got)
	}
	checkClosed(t, l.dir)
}

// checkClosed fails if this process has a file of the directory open.
func checkClosed(t *testing.T, dir string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, dir+"/") {
			t.Errorf("still open: %s", name)
		}
	}
}
