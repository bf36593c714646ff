package supervisor

import (
	"sync"
	"time"
)

const (
	linesMost     = 256 << 10              // that wait for a slow console or disk
	linesPatience = 250 * time.Millisecond // with one that was quick until now
	linesFarewell = 500 * time.Millisecond // with one that is slow, at the end
)

// lines keep a console that nobody reads, or a disk that hangs, from holding up whoever
// has something to say: another goroutine writes, and what is too much for it is lost.
// While all goes well a line is written when add returns. Between lines there is no
// goroutine and no memory.
type lines struct {
	out func(lines []byte, lost int) // writes lines, and that others are lost behind them

	mu sync.Mutex
	// mu is held for a moment, and protects all below
	waiting []byte
	lost    int           // that came after waiting
	written chan struct{} // closed when all is; nil: it is
	slow    bool          // nobody waits for it
}

func (q *lines) add(line string) {
	q.mu.Lock()
	if len(q.waiting)+len(line) > linesMost {
		q.lost++
		q.mu.Unlock()
		return
	}
	q.waiting = append(q.waiting, line...)
	if q.written == nil {
		q.written = make(chan struct{})
		go q.write()
	}
	slow := q.slow
	q.mu.Unlock()
	if !slow {
		q.settle(linesPatience)
	}
}

// settle waits until all is written, at most for so long.
func (q *lines) settle(patience time.Duration) {
	q.mu.Lock()
	written := q.written
	q.mu.Unlock()
	if written == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
		q.mu.Lock()
		q.slow = q.written != nil
		q.mu.Unlock()
	}
}

// write ends when nothing waits any more.
func (q *lines) write() {
	for {
		q.mu.Lock()
		waiting, lost := q.waiting, q.lost
		q.waiting, q.lost = nil, 0
		if len(waiting) == 0 {
			close(q.written)
			q.written, q.slow = nil, false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.out(waiting, lost)
	}
}
