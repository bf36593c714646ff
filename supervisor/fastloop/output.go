package fastloop

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// reply is an answer on its way to the client. Its zero value has not begun.
type reply struct {
	begun bool       // its head is written, or in the output
	last  bool       // the connection ends with it
	entry site.Entry // of the access log, at the end
	head  int        // bytes of the head
	body  int64      // bytes of the body, as far as it is here
	taken int64      // bytes that the client has taken, of the head too
	moved time.Time  // when the client took some, or first did not
}

// output is what of an answer waits until its client takes it. Its zero value is empty.
type output struct {
	block      []byte // of the store; nil: it is empty
	start, end int    // of what waits in block
}

func (o *output) isEmpty() bool { return o.start == o.end }

// add keeps a copy of p, and reports whether there was room.
func (o *output) add(s *spool.Store, p []byte) bool {
	if o.block == nil {
		o.block = s.Block()
	}
	if len(p) > len(o.block)-o.end {
		return false
	}
	o.end += copy(o.block[o.end:], p)
	return true
}

// write writes what waits, as far as the client takes it.
func (o *output) write(fd int) (n int, err error) {
	n, err = unix.Write(fd, o.block[o.start:o.end])
	o.start += max(n, 0)
	return max(n, 0), err
}

// drop forgets what waits.
func (o *output) drop(s *spool.Store) {
	if o.block != nil {
		s.GiveBlock(o.block)
	}
	*o = output{}
}

// writable goes on with an answer that the client did not take at once.
func (c *client) writable() {
	if c.file.file != nil {
		c.fileWritable()
		return
	}
	if c.output.isEmpty() {
		return
	}
	now := time.Now()
	n, err := c.output.write(c.fd)
	c.took(n, now)
	switch {
	case err != nil && err != unix.EAGAIN:
		c.leave(now)
	case c.output.isEmpty():
		c.replied(now)
	}
}

// took notes that the client has taken n bytes.
func (c *client) took(n int, now time.Time) {
	if n > 0 {
		c.reply.taken += int64(n)
		c.reply.moved = now
	}
}

// replied is called when the client has taken all of its answer.
func (c *client) replied(now time.Time) {
	last := c.reply.last || c.loop.isClosing()
	c.record(now)
	if last {
		c.linger()
		return
	}
	c.endRequest()
	c.start, c.patience = now, c.loop.o.Timeouts.Idle
	c.goOn()
}

// leave ends the connection of a client that has left, or whose time is up, within its
// answer.
func (c *client) leave(now time.Time) {
	if c.reply.taken == 0 {
		c.reply.entry.Status = site.StatusClientGone
	}
	c.record(now)
	c.close()
}

// record writes the answer to the access log.
func (c *client) record(now time.Time) {
	e := c.reply.entry
	e.Took, e.Bytes = now.Sub(e.Time), c.reply.bodyTaken()
	c.site.Record(e)
}

// bodyTaken returns how many bytes of the body the client has taken.
func (r *reply) bodyTaken() int64 { return min(max(r.taken-int64(r.head), 0), r.body) }

// isStalled reports whether the client takes nothing of its answer since patience.
func (c *client) isStalled(now time.Time, patience time.Duration) bool {
	waits := !c.output.isEmpty() || c.file.file != nil && c.disk == nil
	return waits && now.Sub(c.reply.moved) > patience
}

// hurry ends the answers of which nothing was taken for longest, an eighth of those for
// which it is too long.
func (l *Loop) hurry(now time.Time) {
	var stalled []*client
	for c := range l.busy {
		if c.isStalled(now, takePatience) {
			stalled = append(stalled, c)
		}
	}
	slices.SortFunc(stalled, func(a, b *client) int { return cmp.Compare(a.reply.moved.UnixNano(), b.reply.moved.UnixNano()) })
	for _, c := range stalled[:(len(stalled)+7)/8] {
		c.leave(now)
	}
}
