package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// logRules are what all log files have in common.
type logRules struct {
	most    atomic.Int64 // bytes of a file, after which it is put aside; 0: never
	keep    atomic.Int64 // files put aside that stay
	failing atomic.Int64 // files that can not be written to now
}

// logFile is one file of the log. When it has reached its size it becomes NAME.1,
// what was that NAME.2, and so on; the last one goes. A disk that is full costs log
// lines, never a request. Its owner has one goroutine at a time write to it.
type logFile struct {
	path  string
	rules *logRules
	file  *os.File // nil: not open now
	size  int64
	lost  int  // lines since it can not be written to
	half  bool // the end of the last line was lost
}

// open opens the file, which write does by itself.
func (f *logFile) open() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	f.file = file
	f.size = f.written()
	return nil
}

// written is how much the file holds: others may cut it, too.
func (f *logFile) written() int64 {
	info, err := f.file.Stat()
	if err != nil {
		return 0 // it will be looked at again
	}
	return info.Size()
}

// write adds whole lines. An error is told for the first of all files that fails,
// and again only when all had recovered.
func (f *logFile) write(lines []byte) error {
	err := f.add(lines)
	if err == nil {
		return nil
	}
	first := f.lost == 0 && f.rules.failing.Add(1) == 1
	f.lost += bytes.Count(lines, []byte("\n"))
	if !first {
		return nil
	}
	return err
}

// lose says that n lines are lost that were to follow. Whoever lost them has told it.
func (f *logFile) lose(n int) {
	if f.lost == 0 {
		f.rules.failing.Add(1)
	}
	f.lost += n
	_ = f.write(nil) // or the next write says it
}

func (f *logFile) add(lines []byte) error {
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if most := f.rules.most.Load(); most > 0 && f.size >= most {
		f.rotate(most)
	}
	if f.lost > 0 {
		if err := f.writeAll([]byte(f.gap())); err != nil {
			return err
		}
		f.lost = 0
		f.rules.failing.Add(-1)
	}
	return f.writeAll(lines)
}

func (f *logFile) writeAll(b []byte) error {
	n, err := f.file.Write(b)
	f.size += int64(n)
	if n > 0 {
		f.half = b[n-1] != '\n'
	}
	return err
}

// gap says where lines are missing.
func (f *logFile) gap() string {
	line := fmt.Sprintf("%s multisite level=WARN msg=\"lines of this log were lost: it could not be written to\" lines=%d\n", time.Now().Format(logTime), f.lost)
	if f.half {
		return "\n" + line
	}
	return line
}

// rotate puts the file aside and begins a new one. What can not be done is tried
// again when as much was written once more.
func (f *logFile) rotate(most int64) {
	if f.size = f.written(); f.size < most {
		return
	}
	f.size = 0
	keep := int(f.rules.keep.Load())
	for n := keep + 1; os.Remove(f.older(n)) == nil; n++ { // they were more to keep once
	}
	for n := keep; n > 0; n-- {
		_ = os.Rename(f.older(n-1), f.older(n)) // there may be fewer
	}
	if keep == 0 {
		_ = os.Remove(f.path) // or it goes on growing
	}
	old := f.file
	if f.open() == nil {
		old.Close()
	}
}

func (f *logFile) older(n int) string { return olderLog(f.path, n) }

// olderLog is the name of the nth file put aside; the 0th is the one that is written.
func olderLog(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

// release closes the file. The next write opens it again.
func (f *logFile) release() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
