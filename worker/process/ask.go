package process

import (
	"syscall"
	"time"
)

// Ask sends a signal that the process answers with lines of output. It returns when
// one of them is the last, when the process has ended, or after limit.
func (p *Process) Ask(sig syscall.Signal, last func(line string) bool, limit time.Duration) {
	if p.output == nil {
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

// expect returns a channel that is closed when a line is the last of an answer.
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
