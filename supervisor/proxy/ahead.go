package proxy

import "time"

// A worker that is busy may get requests ahead: they wait in its socket, behind the one
// that it has, and their clients are in line. A request that has waited there for
// longer than a stall is taken back, and so are all behind one that is handed over:
// that one must be alone on its connection.
const stall = 5 * time.Millisecond

// join puts a client whose request was sent at the end of the line of a worker's connection.
func (l *Loop) join(c *client, fd int) {
	c.asking = fd
	last := l.asking[fd]
	if last == nil {
		l.asking[fd] = c
		return
	}
	for last.next != nil {
		last = last.next
	}
	last.next = c
	l.inLine++
}

// leaveLine takes the first client out of its line.
func (c *client) leaveLine() {
	l := c.loop
	if c.next == nil {
		delete(l.asking, c.asking)
	} else {
		l.asking[c.asking] = c.next
		l.inLine--
	}
	c.asking, c.next = 0, nil
}

// isBehind tells whether c waits in line.
func (c *client) isBehind() bool { return c.asking != 0 && c.loop.asking[c.asking] != c }

// alone takes back all that was sent behind the first request of a line, the last
// first. False: the worker has begun one of those, so c's answer is here.
func (c *client) alone() bool {
	for c.next != nil {
		before := c
		for before.next.next != nil {
			before = before.next
		}
		last := before.next
		if !last.direct.Recall() {
			return false
		}
		before.next, last.asking = nil, 0
		c.loop.inLine--
		last.askAgain()
	}
	if c.direct != nil {
		c.direct.CloseLine()
	}
	return true
}

// askAgain asks for another worker, before all who wait.
func (c *client) askAgain() {
	c.direct, c.sent = nil, time.Time{}
	if err := c.asked.Requeue(); err != nil {
		c.handOverErr(err)
		return
	}
	c.loop.takeTold()
	c.settled()
}

// breakUp takes back what has waited too long in its line.
func (l *Loop) breakUp(now time.Time) {
	if l.inLine == 0 || now.Sub(l.brokenUp) < stall/2 {
		return
	}
	l.brokenUp = now
	for _, first := range l.asking {
		if first.next != nil && now.Sub(first.next.sent) > stall {
			first.alone() // or its answer is here, and will be told of
		}
	}
}
