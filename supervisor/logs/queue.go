package logs

import (
	"sync"
	"time"
)

const (
	queueMax      = 256 << 10              // bytes that wait for a slow console or disk
	addPatience   = 250 * time.Millisecond // how long add waits once, for a writer that was quick until now
	flushPatience = 500 * time.Millisecond // how long Flush waits for a writer that is slow
)

// queue writes lines with a goroutine of its own, so that a console that nobody reads
// or a disk that hangs does not block the caller; lines that do not fit are lost. As
// long as the writer is quick, a line is written when add returns. A queue that is
// empty has no goroutine and no buffer.
type queue struct {
	out func(lines []byte, lost int) // writes lines, and notes how many are lost after them

	mu sync.Mutex
	// mu protects all below. It is never held while out runs.
	waiting []byte
	lost    int           // lines lost after those that wait
	written chan struct{} // closed when the queue is empty; nil: it is, and no goroutine runs
	slow    bool          // out has taken too long: add does not wait until the queue is empty again
}

func (q *queue) add(line string) {
	q.mu.Lock()
	if len(q.waiting)+len(line) > queueMax {
		q.lost++
		q.mu.Unlock()
		return
	}
	q.waiting = append(q.waiting, line...)
	if q.written == nil {
		q.written = make(chan struct{})
		go q.write() // ends when the queue is empty
	}
	slow := q.slow
	q.mu.Unlock()
	if !slow {
		q.flush(addPatience)
	}
}

// flush waits until the queue is empty, but no longer than patience.
func (q *queue) flush(patience time.Duration) {
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

// write writes until the queue is empty.
func (q *queue) write() {
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
