package logs

import (
	"bytes"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// rotation is shared by all log files of a Logs.
type rotation struct {
	maxSize atomic.Int64 // bytes after which a file is rotated; 0: never
	keep    atomic.Int64 // how many rotated files are kept
	failing atomic.Int64 // how many files cannot be written to now
}

// file is one log file. When it has reached the maximum size it becomes NAME.1, the
// former NAME.1 becomes NAME.2, and so on; the last one is removed. A full disk costs
// log lines, never a request. Only one goroutine at a time may use it.
type file struct {
	path     string
	rotation *rotation

	// file is nil while the file is not open, which is whenever nothing is written.
	file *os.File
	size int64

	lost int  // lines that could not be written; 0: none since the last gap was written
	half bool // the last line that was written is incomplete
}

func (f *file) open() error {
	opened, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	f.file = opened
	f.size = f.sizeOnDisk()
	return nil
}

// sizeOnDisk returns the size of the file, which another program may have truncated.
func (f *file) sizeOnDisk() int64 {
	info, err := f.file.Stat()
	if err != nil {
		return 0 // the next rotation looks again
	}
	return info.Size()
}

// write adds whole lines. It returns an error only for the first of all files that
// fails, and again only after all have recovered.
func (f *file) write(lines []byte) error {
	err := f.add(lines)
	if err == nil {
		return nil
	}
	first := f.lost == 0 && f.rotation.failing.Add(1) == 1
	f.lost += bytes.Count(lines, []byte("\n"))
	if !first {
		return nil
	}
	return err
}

// lose notes in the file that n lines are lost here. The caller has already logged why.
func (f *file) lose(n int) {
	if f.lost == 0 {
		f.rotation.failing.Add(1)
	}
	f.lost += n
	_ = f.write(nil) // if it fails the next write notes it
}

func (f *file) add(lines []byte) error {
	if f.file == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if maxSize := f.rotation.maxSize.Load(); maxSize > 0 && f.size >= maxSize {
		f.rotate(maxSize)
	}
	if f.lost > 0 {
		if err := f.writeAll([]byte(f.gap())); err != nil {
			return err
		}
		f.lost = 0
		f.rotation.failing.Add(-1)
	}
	return f.writeAll(lines)
}

func (f *file) writeAll(b []byte) error {
	n, err := f.file.Write(b)
	f.size += int64(n)
	if n > 0 {
		f.half = b[n-1] != '\n'
	}
	return err
}

// gap returns the line that stands where others are missing.
func (f *file) gap() string {
	line := fmt.Sprintf("%s multisite level=WARN msg=\"lines of this log were lost: it could not be written to\" lines=%d\n", time.Now().Format(timeFormat), f.lost)
	if f.half {
		return "\n" + line
	}
	return line
}

// rotate renames the file and opens a new one. If that fails the file is used on, and
// rotated when it has grown by maxSize again.
func (f *file) rotate(maxSize int64) {
	if f.size = f.sizeOnDisk(); f.size < maxSize {
		return
	}
	f.size = 0
	keep := int(f.rotation.keep.Load())
	for n := keep + 1; os.Remove(rotatedName(f.path, n)) == nil; n++ { // keep may have been larger before
	}
	for n := keep; n > 0; n-- {
		_ = os.Rename(rotatedName(f.path, n-1), rotatedName(f.path, n)) // there may be fewer
	}
	if keep == 0 {
		_ = os.Remove(f.path) // or the file would be opened again and grow on
	}
	old := f.file
	if f.open() == nil {
		old.Close()
	}
}

// rotatedName returns the name of the nth rotated file; the 0th is the current one.
func rotatedName(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

// close closes the file. The next write opens it again.
func (f *file) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}
