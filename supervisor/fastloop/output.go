package fastloop

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/spool"
)

// output is what of an answer waits until its client takes it. Its zero value is empty.
type output struct {
	block      []byte // of the store; nil: it is empty
	start, end int    // of what waits in block
}

func (o *output) isEmpty() bool { return o.start == o.end }

// add keeps a copy of pieces, and reports whether there was room.
func (o *output) add(s *spool.Store, pieces [][]byte) bool {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	if size == 0 {
		return true
	}
	if o.block == nil {
		o.block = s.Block()
	}
	if size > len(o.block)-o.end {
		return false
	}
	for _, p := range pieces {
		o.end += copy(o.block[o.end:], p)
	}
	return true
}

// writeOutput writes what waits, as far as the client takes it. It returns false if the
// client takes nothing more, now or ever.
func (c *client) writeOutput(now time.Time) bool {
	if o := &c.output; !o.isEmpty() {
		n, err := c.write(o.block[o.start:o.end])
		o.start += max(n, 0)
		if c.took(n, now); err != nil && err != unix.EAGAIN {
			c.leave(now)
			return false
		}
	}
	return !c.waits()
}

// flush writes what is encrypted already, as far as the client takes it.
func (c *client) flush(now time.Time) bool {
	switch err := c.secure.flush(); {
	case err == unix.EAGAIN:
		return false
	case err != nil && c.site == nil:
		c.close()
		return false
	case err != nil:
		c.leave(now)
		return false
	}
	c.reply.moved = now
	return true
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
	if !c.waits() && c.file.file == nil {
		return
	}
	now := time.Now()
	if c.secure.holds() && !c.flush(now) || !c.writeOutput(now) {
		return
	}
	switch {
	case c.site == nil:
	case c.file.file != nil:
		c.fileWritable()
	case c.reply.ended:
		c.replied(now)
	default:
		c.output.drop(c.loop.o.Store)
		c.loop.serveLine(c.workerFD)
	}
}

// put writes pieces of an answer. What the client does not take at once goes to the output;
// rest is what has no room there. gone: nobody takes anything.
func (c *client) put(pieces [][]byte, now time.Time) (rest [][]byte, gone bool) {
	n, err := c.write(pieces...)
	if err != nil && err != unix.EAGAIN {
		return nil, true
	}
	c.took(n, now)
	if rest = skip(pieces, max(n, 0)); !c.output.add(c.loop.o.Store, rest) {
		return rest, false
	}
	return nil, false
}

// skip returns pieces without the first n bytes.
func skip(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}

// isStalled reports whether the client takes nothing of its answer since patience.
func (c *client) isStalled(now time.Time, patience time.Duration) bool {
	waits := c.waits() || c.file.file != nil && c.disk == nil
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
