package logs

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newLogs(t *testing.T, console io.Writer) *Logs {
	t.Helper()
	l, err := Open(filepath.Join(t.TempDir(), "logs"), console)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func readLog(t *testing.T, l *Logs, site string) string {
	t.Helper()
	l.whole()
	b, err := os.ReadFile(l.path(site))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// whole waits until all lines of a queue are written.
func (q *queue) whole() {
	q.mu.Lock()
	written := q.written
	q.mu.Unlock()
	if written != nil {
		<-written
	}
}

// whole waits until all lines of all files are written.
func (l *Logs) whole() {
	l.mu.Lock()
	files := slices.Collect(maps.Values(l.files))
	l.mu.Unlock()
	for _, q := range files {
		q.whole()
	}
}

func TestLogs_ALineSaysWhenWhoAndWhat(t *testing.T) {
	t.Parallel()
	var console bytes.Buffer
	l := newLogs(t, &console)
	l.Write("blog", "blog/1", "grüße")
	l.Logger("blog").Warn("answer cut", "worker", "blog/1", "duration", 1234567*time.Microsecond)
	l.Logger("multisite").Info("supervisor started")

	const when = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)`
	want := regexp.MustCompile("^" + when + " blog/1 grüße\n" +
		when + ` multisite level=WARN msg="answer cut" worker=blog/1 duration=1\.235s` + "\n$")
	if got := readLog(t, l, "blog"); !want.MatchString(got) {
		t.Errorf("blog.log:\n%s", got)
	}
	if got := readLog(t, l, "multisite"); !strings.HasSuffix(got, " multisite level=INFO msg=\"supervisor started\"\n") {
		t.Errorf("multisite.log:\n%s", got)
	}
	l.console.whole()
	if got, want := console.String(), readLog(t, l, "blog")+readLog(t, l, "multisite"); got != want {
		t.Errorf("the console has:\n%s\nwant:\n%s", got, want)
	}
	for _, path := range []string{l.Dir(), l.path("blog")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v, want it closed to others", path, info.Mode(), err)
		}
	}
}

func TestLogs_WriteAfterCloseIsLost(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.Write("blog", "blog/1", "before")
	l.Close()
	l.Write("blog", "blog/1", "after")
	if got := readLog(t, l, "blog"); !strings.HasSuffix(got, " blog/1 before\n") {
		t.Errorf("blog.log:\n%s", got)
	}
}

// TestStream_MissesNothing: between the tail of the file and the stream no line is
// lost, and none comes twice.
func TestStream_MissesNothing(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.Write("blog", "blog/1", "before")
	f := l.Stream("blog") // as Supervisor.Logs does, before it reads the file
	l.Write("blog", "blog/1", "between")
	l.whole()
	tail, err := Tail(l.dir, []string{"blog"}, 10)
	if err != nil {
		t.Fatal(err)
	}
	l.Write("blog", "blog/1", "after")
	l.EndStreams()
	var got strings.Builder
	got.WriteString(strings.Join(tail, ""))
	if err := f.Copy(t.Context(), &got, tail); err != nil {
		t.Fatal(err)
	}
	if want := readLog(t, l, "blog"); got.String() != want {
		t.Errorf("got:\n%swant:\n%s", &got, want)
	}
}

func TestStream_OfOneSiteUntilItIsClosed(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	f := l.Stream("blog")
	l.Write("shop", "shop/1", "not this")
	l.Write("blog", "blog/1", "this")
	ctx, cancel := context.WithCancel(t.Context())
	out := writerFunc(func(p []byte) (int, error) {
		if !strings.HasSuffix(string(p), " blog/1 this\n") {
			t.Errorf("streamed %q", p)
		}
		cancel()
		return len(p), nil
	})
	if err := f.Copy(ctx, out, nil); err != nil {
		t.Error(err)
	}
	f.Close()
	for range 2 * cap(f.lines) { // a stream that is closed, or too slow, blocks no writer
		l.Write("blog", "blog/1", "more")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestStream_EndsWithTheLogs(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	early := l.Stream("")
	l.EndStreams()
	late := l.Stream("")
	for name, f := range map[string]*Stream{"early": early, "late": late} {
		if err := f.Copy(t.Context(), io.Discard, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.Write("blog", "blog/1", "no stream")
	early.Close()
}

func TestTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("x", 50_000)
	files := map[string]string{
		"a": "2026-01-01T00:00:01.000Z a 1\n2026-01-01T00:00:03.000Z a 3\n",
		"b": "2026-01-01T00:00:02.000Z b 2\n2026-01-01T00:00:04.000Z b 4\n",
		// longer than what is read from the end at first
		"long":  strings.Repeat(long+"\n", 9) + "end\n",
		"empty": "",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		sites []string
		n     int
		want  []string
	}{
		{"in order of time", []string{"a", "b"}, 10, []string{"a 1", "b 2", "a 3", "b 4"}},
		{"the last of all", []string{"a", "b"}, 2, []string{"a 3", "b 4"}},
		{"one file", []string{"a"}, 1, []string{"a 3"}},
		{"none", []string{"a", "b"}, 0, nil},
		{"of a long file", []string{"long"}, 3, []string{long, long, "end"}},
		{"empty", []string{"empty"}, 3, nil},
		{"not there", []string{"nosuch", "a"}, 1, []string{"a 3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Tail(dir, tt.sites, tt.n)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range got {
				if stamped := strings.TrimPrefix(line, "2026-01-01T00:00:0"); stamped != line {
					line = stamped[len("1.000Z "):]
				}
				got[i] = strings.TrimSuffix(line, "\n")
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %.80q, want %.80q", got, tt.want)
			}
		})
	}
}

// TestStream_CloseRemovesIt, and DropStreams ends those of now but none of later.
func TestStream_CloseRemovesIt(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.Stream("").Close()
	if n := len(l.streams); n != 0 {
		t.Errorf("%d streams are left", n)
	}
	dropped := l.Stream("")
	l.DropStreams()
	if _, open := <-dropped.lines; open {
		t.Error("a dropped stream goes on")
	}
	dropped.Close() // as its reader does
	later := l.Stream("")
	defer later.Close()
	l.Write("blog", "blog/1", "line")
	if line := <-later.lines; !strings.HasSuffix(line, " blog/1 line\n") {
		t.Errorf("a stream of later got %q", line)
	}
}

// TestLogs_Flush waits for a disk that is quick enough, not for one that hangs.
func TestLogs_Flush(t *testing.T) {
	t.Parallel()
	for name, took := range map[string]time.Duration{"slow": flushPatience / 2, "hangs": time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := newLogs(t, nil)
			l.files["blog"] = &queue{out: func([]byte, int) { time.Sleep(addPatience + took) }}
			l.Write("blog", "blog/1", "line") // waits for addPatience
			begin := time.Now()
			l.Flush()
			if got, want := time.Since(begin), min(took, flushPatience); got != want {
				t.Errorf("%s: Flush took %v, want %v", name, got, want)
			}
			time.Sleep(took) // its goroutine ends
		})
	}
}
