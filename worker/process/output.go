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
	maxLine   = 64 << 10 // a longer line is cut in pieces
	tailLines = 60       // enough for a Python traceback
	// drainTime bounds the wait for output after the end: a child of the process
	// that left its group may hold the pipe open for ever.
	drainTime = time.Second
)

// Output reads what a process writes to stdout and stderr, line by line.
type Output struct {
	w, r *os.File
	line func(string)
	done chan struct{}

	mu sync.Mutex
	// mu protects all below
	tail        []string
	outOfMemory bool // a Go program said so
	last        func(string) bool
	answered    chan struct{} // closed when last is true of a line, see Ask
	starved     time.Time     // when a line last spoke of a lack of memory
	rest        []byte        // what was read of a line that has not ended, while parked
	parked      chan struct{} // closed when nobody reads; nil: somebody shall
}

// NewOutput returns an Output, of a process that runs as an account, that hands each
// line, without its end, to line. It must be given to Start or Adopt, or closed.
func NewOutput(as *account.Account, line func(string)) (*Output, error) {
	r, w, err := Pipe(as)
	if err != nil {
		return nil, err
	}
	o := &Output{w: w, r: r, line: line, done: make(chan struct{})}
	go o.read()
	return o, nil
}

// File is the end to write to, for passing to a process that another one forks.
func (o *Output) File() *os.File { return o.w }

// Tail returns the last lines.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.tail...)
}

// Close ends the reading when no process was started.
func (o *Output) Close() {
	o.w.Close()
	<-o.done
}

// started drops our copy of the writing end: the process has its own.
func (o *Output) started() { o.w.Close() } // nil, of one that was inherited, does not matter

// finish waits until all that the dead process wrote was read.
func (o *Output) finish() {
	_ = o.r.SetReadDeadline(time.Now().Add(drainTime)) // a pipe has deadlines
	<-o.done
}

// read returns at the end of the output, and before it when it is handed over.
func (o *Output) read() {
	if o.readLines() {
		o.r.Close()
		close(o.done)
	}
}

// readLines tells whether it has read all.
func (o *Output) readLines() (all bool) {
	in := bufio.NewReaderSize(o.r, 4<<10)
	long := o.takeRest()
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

// speaksOfMemory knows what Python, C++ and the C library call a lack of it.
func speaksOfMemory(line string) bool {
	for _, word := range []string{"MemoryError", "bad_alloc", "annot allocate memory"} {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// saysOutOfMemory knows what a Go program writes before the stacks of all its
// goroutines, when the system refuses it memory.
func saysOutOfMemory(line string) bool {
	what, fatal := strings.CutPrefix(line, "fatal error: ")
	return fatal && (strings.Contains(what, "out of memory") || strings.Contains(what, "cannot allocate memory"))
}
