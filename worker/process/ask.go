package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Ask sends a signal that the process answers with lines of output. It returns when last
// is true of one of them, when the process has exited, or after limit. It does not send
// the signal to a process that does not handle it yet, which would kill the process.
func (p *Process) Ask(sig syscall.Signal, last func(line string) bool, limit time.Duration) {
	if p.output == nil || !p.catches(sig) {
		return
	}
	answered := p.output.expect(last)
	if p.Signal(sig) != nil {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-answered:
	case <-p.done:
	case <-timer.C:
	}
}

// catches reports whether the process handles a signal.
func (p *Process) catches(sig syscall.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil { // it has exited
		return false
	}
	_, after, _ := strings.Cut(string(status), "\nSigCgt:\t")
	mask, _, _ := strings.Cut(after, "\n")
	caught, err := strconv.ParseUint(mask, 16, 64)
	return err == nil && caught&(1<<(sig-1)) != 0
}

// expect returns a channel that is closed when last is true of a line.
func (o *Output) expect(last func(line string) bool) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last, o.answered = last, make(chan struct{})
	return o.answered
}

func (o *Output) answerLocked(line string) {
	if o.last != nil && o.last(line) {
		close(o.answered)
		o.last = nil
	}
}
