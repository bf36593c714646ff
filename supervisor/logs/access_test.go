package logs

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// numbered appends the nth line of a test, which holds its number.
func numbered(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		return fmt.Appendf(b, `192.0.2.1 - - [04/Jul/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 %d "-" "-" 0.0015 blog/1`+"\n", n)
	}
}

// wantNumbered fails unless log holds the given number of lines from first on, in order.
func wantNumbered(t *testing.T, log string, first, lines int) {
	t.Helper()
	n := first
	for line := range strings.Lines(log) {
		if !strings.Contains(line, fmt.Sprintf(" 200 %d ", n)) {
			t.Fatalf("line %d is %q", n, line)
		}
		n++
	}
	if n != first+lines {
		t.Errorf("got %d lines, want %d", n-first, lines)
	}
}

// TestAccessLog_HasEveryLine: no line is lost, not even if the log is closed at once.
func TestAccessLog_HasEveryLine(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	a := l.Access("blog")
	const lines = 2
	for n := range lines {
		a.Add(numbered(n))
	}
	a.Close()
	b, err := os.ReadFile(filepath.Join(l.dir, "blog.access.log"))
	if err != nil {
		t.Fatal(err)
	}
	wantNumbered(t, string(b), 0, lines)
}

// TestAccessLog_HoldsNothingBetweenBlocks: most of a thousand sites are idle.
func TestAccessLog_HoldsNothingBetweenBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newLogs(t, nil).Access("blog")
		if _, err := os.Stat(a.file.path); !os.IsNotExist(err) {
			t.Errorf("the file of an idle site is there: %v", err)
		}
		const lines = 1000
		for n := range lines {
			a.Add(numbered(n))
		}
		synctest.Wait()
		if info, err := os.Stat(a.file.path); err != nil || info.Size() < accessBlock {
			t.Errorf("a whole block waits in memory: %v", err)
		}
		time.Sleep(accessDelay) // of the bubble's clock
		synctest.Wait()
		if a.lines != nil || a.spare != nil || a.file.file != nil {
			t.Errorf("buffers of %d and %d bytes, and the file %v are kept", cap(a.lines), cap(a.spare), a.file.file)
		}
		b, err := os.ReadFile(a.file.path)
		if err != nil {
			t.Error(err)
		}
		wantNumbered(t, string(b), 0, lines)
	})
}

// TestAccessLog_KeepsTheOrder across rotated files.
func TestAccessLog_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.SetRotation(2*accessBlock, 100)
	a := l.Access("blog")
	const lines = 8000 // fewer than may wait
	for n := range lines {
		a.Add(numbered(n))
		if n%1000 == 0 {
			a.Flush() // as an upgrade does
		}
	}
	a.Close()
	var all strings.Builder
	files, err := filepath.Glob(a.file.path + "*")
	for n := len(files) - 1; n >= 0; n-- {
		b, err := os.ReadFile(rotatedName(a.file.path, n))
		if err != nil {
			t.Error(err)
		}
		all.Write(b)
	}
	if err != nil || len(files) < 3 {
		t.Errorf("files %q, %v, want some rotated ones", files, err)
	}
	wantNumbered(t, all.String(), 0, lines)
}

// TestAccessLog_StuckDisk: no caller waits for it, and it costs lines, which is logged
// once, and noted where they are missing.
func TestAccessLog_StuckDisk(t *testing.T) {
	t.Parallel()
	var console bytes.Buffer
	l := newLogs(t, &console)
	warned := l.Stream("")
	a := l.Access("blog")
	if err := unix.Mkfifo(a.file.path, 0o600); err != nil {
		t.Fatal(err)
	}
	const lines = 40_000 // far more than may wait
	for n := range lines {
		a.Add(numbered(n)) // nobody reads
	}
	if got, want := <-warned.lines, fmt.Sprintf("error=\"write %s: %v\"\n", a.file.path, errSlowDisk); !strings.HasSuffix(got, want) {
		t.Errorf("got the warning %q, want %q", got, want)
	}
	a.mu.Lock()
	if held := len(a.lines); held > accessMax+accessBlock {
		t.Errorf("%d bytes wait, want at most %d", held, accessMax)
	}
	a.mu.Unlock()
	disk, err := os.OpenFile(a.file.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	in := bufio.NewScanner(disk)
	gap := regexp.MustCompile(`level=WARN msg="lines of this log were lost: [^"]*" lines=(\d+)$`)
	lost := 0
	for next := 0; next < lines && in.Scan(); { // gaps, too, may be more than one
		if missing := gap.FindStringSubmatch(in.Text()); missing != nil {
			n, _ := strconv.Atoi(missing[1]) // it is a number
			next, lost = next+n, lost+n
			continue
		}
		if !strings.Contains(in.Text(), fmt.Sprintf(" 200 %d ", next)) {
			t.Fatalf("got %q, want line %d", in.Text(), next)
		}
		next++
	}
	if lost == 0 {
		t.Error("no line was lost")
	}
	a.Add(numbered(lines))
	a.Close()
	if in.Scan(); !strings.Contains(in.Text(), fmt.Sprintf(" 200 %d ", lines)) {
		t.Errorf("when the disk recovers it gets %q", in.Text())
	}
	l.EndStreams()
	if n := len(warned.lines); n != 0 || l.rotation.failing.Load() != 0 {
		t.Errorf("%d more warnings, %d files fail", n, l.rotation.failing.Load())
	}
}

// BenchmarkAccessLog is what a line costs the caller.
func BenchmarkAccessLog(b *testing.B) {
	l, err := Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	a := l.Access("blog")
	b.Cleanup(a.Close)
	line := []byte(`192.0.2.1 - - [04/Jul/2026:12:00:00 +0000] "GET /x HTTP/1.1" 200 7 "-" "-" 0.0015 blog/1` + "\n")
	b.ReportAllocs()
	for b.Loop() {
		a.Add(func(b []byte) []byte { return append(b, line...) })
	}
}
