package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFile_IsRotatedAtItsSize(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.SetRotation(200, 2)
	f := l.Stream("blog")
	for i := range 40 {
		l.Write("blog", "blog/1", fmt.Sprintf("line %02d", i))
	}
	l.whole()
	files, err := filepath.Glob(l.path("blog") + "*")
	if err != nil || len(files) != 3 {
		t.Errorf("files %q, %v, want the log and two rotated ones", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil || len(b) >= 200+60 || !bytes.HasSuffix(b, []byte("\n")) {
			t.Errorf("%s has %d bytes, %v: %.300q", file, len(b), err, b)
		}
	}
	tail, err := Tail(l.dir, []string{"blog"}, 8)
	if err != nil || len(tail) != 8 {
		t.Fatalf("the last lines: %q, %v", tail, err)
	}
	for i, line := range tail {
		if want := fmt.Sprintf("line %02d\n", 32+i); !strings.HasSuffix(line, want) {
			t.Errorf("the tail has %q, want %q", line, want)
		}
	}
	if n := len(f.lines); n != 40 {
		t.Errorf("the stream got %d lines, want 40", n)
	}
	l.SetRotation(200, 0)
	for range 10 {
		l.Write("blog", "blog/1", "more")
	}
	l.whole()
	if files, _ := filepath.Glob(l.path("blog") + "*"); len(files) != 1 {
		t.Errorf("files %q, want no rotated one", files)
	}
}

// TestFile_TruncatedByOthers: as logrotate's copytruncate does.
func TestFile_TruncatedByOthers(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	l.SetRotation(200, 2)
	for range 4 {
		l.Write("blog", "blog/1", "before")
	}
	l.whole()
	if err := os.Truncate(l.path("blog"), 0); err != nil {
		t.Fatal(err)
	}
	l.Write("blog", "blog/1", "after")
	l.whole()
	if files, _ := filepath.Glob(l.path("blog") + "*"); len(files) != 1 {
		t.Errorf("files %q, want one", files)
	}
}

// TestFile_FullDisk: it costs lines, which is logged once, and noted where they are
// missing.
func TestFile_FullDisk(t *testing.T) {
	t.Parallel()
	var console bytes.Buffer
	l := newLogs(t, &console)
	full := func(site string) {
		l.whole()
		if err := os.Rename(l.path(site), l.path(site)+".here"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", l.path(site)); err != nil {
			t.Fatal(err)
		}
	}
	space := func(site string) {
		l.whole()
		if err := os.Rename(l.path(site)+".here", l.path(site)); err != nil {
			t.Fatal(err)
		}
	}
	for _, site := range []string{"blog", "shop"} {
		l.Write(site, site+"/1", "before")
		full(site)
		for range 5 {
			l.Write(site, site+"/1", "lost")
		}
	}
	l.whole()
	l.console.whole()
	if n := strings.Count(console.String(), `multisite level=WARN msg="log lines are lost" error="write `); n != 1 {
		t.Errorf("%d warnings, want one:\n%s", n, &console)
	}
	for _, site := range []string{"blog", "shop"} {
		space(site)
		l.Write(site, site+"/1", "after")
		want := regexp.MustCompile(`^\S+ \w+/1 before\n\S+ multisite level=WARN msg="lines of this log were lost: .*" lines=5\n\S+ \w+/1 after\n$`)
		if got := readLog(t, l, site); !want.MatchString(got) {
			t.Errorf("%s.log:\n%s", site, got)
		}
	}
	full("blog")
	l.Write("blog", "blog/1", "lost")
	l.whole()
	l.console.whole()
	if n := strings.Count(console.String(), "log lines are lost"); n != 2 {
		t.Errorf("%d warnings after a second time, want two:\n%s", n, &console)
	}
}
