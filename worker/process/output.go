package process

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/account"
)

const (
	maxLine   = 64 << 10 // a longer line is split
	tailLines = 60       // lines that Tail keeps: enough for a Python traceback
	// drainTime bounds the wait for output after the exit: a child of the process that has
	// left its group may keep the pipe open for ever.
	drainTime = time.Second
)

// Output reads what a process writes to stdout and stderr, line by line.
type Output struct {
	w    *os.File // the end to write to, ours until the process has started; nil: inherited
	r    *os.File // the end to read from, which read closes
	line func(string)
	done chan struct{} // is closed when all was read

	mu sync.Mutex
	// mu protects all below
	tail        []string          // the last lines, at most tailLines
	outOfMemory bool              // a line was the fatal error of a Go program for lack of memory
	starved     time.Time         // when a line last reported a lack of memory
	last        func(string) bool // reports the last line that Ask waits for; nil: it does not wait
	answered    chan struct{}     // is closed when last is true of a line
	partial     []byte            // the part of a line that was read when the reading stopped
	parked      chan struct{}     // is closed when the reading has stopped; nil: it is not to stop
}

// NewOutput returns an Output for a process that runs as an account. It calls line for
// each line, without the newline. It must be given to Start or Adopt, or closed.
func NewOutput(as *account.Account, line func(string)) (*Output, error) {
	r, w, err := Pipe(as)
	if err != nil {
		return nil, err
	}
	o := &Output{w: w, r: r, line: line, done: make(chan struct{})}
	go o.read()
	return o, nil
}

// File returns the end to write to, for a process that another one forks.
func (o *Output) File() *os.File { return o.w }

// Tail returns the last lines.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.tail...)
}

// Close ends the reading if no process was started.
func (o *Output) Close() {
	o.w.Close()
	<-o.done
}

// started closes our copy of the end to write to: the process has its own.
func (o *Output) started() { o.w.Close() } // an inherited Output has none, which Close ignores

// finish waits, but not for long, until all that the dead process has written was read.
func (o *Output) finish() {
	_ = o.r.SetReadDeadline(time.Now().Add(drainTime)) // cannot fail: it is a pipe or socket
	<-o.done
}

// read returns at the end of the output, or when the reading is to stop.
func (o *Output) read() {
	if o.readLines() {
		o.r.Close()
		close(o.done)
	}
}

// readLines reports whether it has read all.
func (o *Output) readLines() (all bool) {
	in := bufio.NewReaderSize(o.r, 4<<10)
	long := o.takePartial()
	for {
		part, err := in.ReadSlice('\n')
		long = append(long, part...)
		if err == bufio.ErrBufferFull && len(long) < maxLine {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && o.park(long) {
			return false
		}
		if len(long) > 0 {
			o.emit(long)
			long = long[:0]
		}
		if err != nil && err != bufio.ErrBufferFull {
			return true
		}
	}
}

// emit passes a line on.
func (o *Output) emit(b []byte) {
	if b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	s := string(b)
	o.mu.Lock()
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, s)
	o.outOfMemory = o.outOfMemory || saysOutOfMemory(s)
	if speaksOfMemory(s) {
		o.starved = time.Now()
	}
	o.answerLocked(s)
	o.mu.Unlock()
	o.line(s)
}

func (o *Output) sawOutOfMemory() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.outOfMemory
}

func (o *Output) starvedSince(t time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.starved.After(t)
}

// speaksOfMemory reports whether Python, C++ or the C library reports a lack of memory in
// a line.
func speaksOfMemory(line string) bool {
	for _, word := range []string{"MemoryError", "bad_alloc", "annot allocate memory"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// saysOutOfMemory reports whether a line is what a Go program writes, before the stacks of
// its goroutines, when the system refuses it memory.
func saysOutOfMemory(line string) bool {
	what, fatal := strings.CutPrefix(line, "fatal error: ")
	return fatal && (strings.Contains(what, "out of memory") || strings.Contains(what, "cannot allocate memory"))
}
