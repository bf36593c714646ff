package fastloop

import "time"

// lineStall is how long a follower waits in its line. Then it is recalled: it must not
// wait behind a slow request. The followers of a request that is detached are recalled,
// too, since that request must be the only one on its connection.
const lineStall = 5 * time.Millisecond

// joinLine adds a client whose request was written to the line of a worker's connection.
func (c *client) joinLine(fd int) {
	l := c.loop
	c.workerFD = fd
	head := l.heads[fd]
	if head == nil {
		l.heads[fd] = c
		return
	}
	head.lastOfLine().next = c
	l.followers++
}

// leaveLine takes the head out of its line. The next one is the head then.
func (c *client) leaveLine() {
	l := c.loop
	if c.next == nil {
		delete(l.heads, c.workerFD)
	} else {
		l.heads[c.workerFD] = c.next
		l.followers--
	}
	c.workerFD, c.next = 0, nil
}

// dropLast takes the last follower out of the line whose head is c.
func (c *client) dropLast() {
	before := c
	for before.next.next != nil {
		before = before.next
	}
	before.next.workerFD, before.next = 0, nil
	c.loop.followers--
}

func (c *client) lastOfLine() *client {
	last := c
	for last.next != nil {
		last = last.next
	}
	return last
}

// isFollower reports whether c is in a line, and not its head.
func (c *client) isFollower() bool { return c.workerFD != 0 && c.loop.heads[c.workerFD] != c }
