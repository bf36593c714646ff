package pool

import "time"

const (
	fast  = time.Millisecond     // a worker that answers in less is worth waiting for
	stall = 2 * time.Millisecond // without an answer ends the wait
)

// pace is how fast a site's workers answer. When as many of them run as there are
// processors, and they answer fast, the next request waits for one of those, though
// another is idle. To wake that one would answer nothing sooner: it takes the
// processor from the others, and the processor's cache (with five Django workers on
// two processors a request took 15 % more of it), and its memory, untouched so far,
// becomes its own.
type pace struct {
	running  int           // requests that workers have
	mean     time.Duration // that the last ones took, roughly
	answered time.Time     // the last one
	timer    *time.Timer   // looks for a stall; nil: never needed
	armed    bool
}

// holdLocked tells whether the next request waits for a worker that runs.
func (p *Pool) holdLocked() bool {
	return p.pace.running >= p.processors && p.processors > 0 && p.set.Threads == 1 &&
		p.pace.mean > 0 && p.pace.mean < fast && time.Since(p.pace.answered) < stall &&
		p.set.QueueTimeout > 10*stall
}

// holdOnLocked sees to it that a request that is held does not wait longer than a stall.
func (p *Pool) holdOnLocked() {
	if p.pace.armed {
		return
	}
	p.pace.armed = true
	if p.pace.timer == nil {
		p.pace.timer = time.AfterFunc(stall, p.lookForStall)
		return
	}
	p.pace.timer.Reset(stall)
}

func (p *Pool) lookForStall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace.armed = false
	p.dispatchLocked()
}

// beganLocked notes that a worker got a request, endedLocked that it had it no more.
func (p *pace) beganLocked(c *Claim) {
	p.running++
	c.began = time.Now()
}

func (p *pace) endedLocked(c *Claim, now time.Time) {
	p.running--
	p.answered = now
	p.mean += (now.Sub(c.began) - p.mean) / 16
}
