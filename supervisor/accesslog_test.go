package supervisor

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

	"github.com/multisite/multisite/supervisor/proxy"
)

// numbered is the nth line of a test, which says so.
func numbered(n int) proxy.Entry {
	return proxy.Entry{Client: "192.0.2.1", Line: "GET /x HTTP/1.1", Status: 200, Bytes: int64(n), Worker: "blog/1"}
}

// wantNumbered tells what line, of those from first on, is not where it belongs.
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

// TestAccessLog_HasEveryLine also when the supervisor ends at once.
func TestAccessLog_HasEveryLine(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	a := l.access("blog")
	at := time.Date(2026, 7, 4, 12, 0, 0, 0, time.UTC)
	for _, status := range []int{200, 503} {
		a.write(proxy.Entry{Client: "192.0.2.1", Line: "GET /x HTTP/1.1", Time: at, Took: 1500 * time.Microsecond, Status: status, Bytes: 7, Worker: "blog/1"})
	}
	a.close()
	b, err := os.ReadFile(filepath.Join(l.dir, "blog.access.log"))
	const line = `192.0.2.1 - - [04/Jul/2026:12:00:00 +0000] "GET /x HTTP/1.1" `
	want := line + `200 7 "-" "-" 0.0015 blog/1` + "\n" + line + `503 7 "-" "-" 0.0015 blog/1` + "\n"
	if err != nil || string(b) != want {
		t.Errorf("%v, got:\n%swant:\n%s", err, b, want)
	}
}

// TestAccessLog_HoldsNothingBetweenBlocks: of a thousand sites most are silent.
func TestAccessLog_HoldsNothingBetweenBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newLogs(t, nil).access("blog")
		if _, err := os.Stat(a.file.path); !os.IsNotExist(err) {
			t.Errorf("the file of a silent site is there: %v", err)
		}
		const lines = 1000
		for n := range lines {
			a.write(numbered(n))
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

// TestAccessLog_KeepsTheOrder across files that are put aside.
func TestAccessLog_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.setRules(2*accessBlock, 100)
	a := l.access("blog")
	const lines = 8000 // fewer than may wait
	for n := range lines {
		a.write(numbered(n))
		if n%1000 == 0 {
			a.flushNow() // as an upgrade does
		}
	}
	a.close()
	var all strings.Builder
	files, err := filepath.Glob(a.file.path + "*")
	for n := len(files) - 1; n >= 0; n-- {
		b, err := os.ReadFile(a.file.older(n))
		if err != nil {
			t.Error(err)
		}
		all.Write(b)
	}
	if err != nil || len(files) < 3 {
		t.Errorf("files %q, %v, want some put aside", files, err)
	}
	wantNumbered(t, all.String(), 0, lines)
}

// TestAccessLog_NobodyWaitsForTheDisk: one that takes nothing costs lines, which is
// told once, and where they are missing.
func TestAccessLog_NobodyWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	var console bytes.Buffer
	l := newLogs(t, &console)
	told := l.follow("")
	a := l.access("blog")
	if err := unix.Mkfifo(a.file.path, 0o600); err != nil {
		t.Fatal(err)
	}
	const lines = 40_000 // far more than may wait
	for n := range lines {
		a.write(numbered(n)) // nobody reads
	}
	if got, want := <-told.lines, fmt.Sprintf("error=\"write %s: %v\"\n", a.file.path, errSlowDisk); !strings.HasSuffix(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	a.mu.Lock()
	if held := len(a.lines); held > accessMost+accessBlock {
		t.Errorf("%d bytes wait, want at most %d", held, accessMost)
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
	a.write(numbered(lines))
	a.close()
	if in.Scan(); !strings.Contains(in.Text(), fmt.Sprintf(" 200 %d ", lines)) {
		t.Errorf("when it takes something again it gets %q", in.Text())
	}
	l.endFollowers()
	if n := len(told.lines); n != 0 || l.rules.failing.Load() != 0 {
		t.Errorf("told %d times more, %d files fail", n, l.rules.failing.Load())
	}
}

// BenchmarkAccessLog is what a line costs whoever has it.
func BenchmarkAccessLog(b *testing.B) {
	l, err := openLogs(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	a := l.access("blog")
	b.Cleanup(a.close)
	e := numbered(1)
	e.Time = time.Now()
	b.ReportAllocs()
	for b.Loop() {
		a.write(e)
	}
}
