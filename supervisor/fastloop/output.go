package fastloop

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
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

// write writes what waits, as far as the client takes it.
func (o *output) write(fd int) (n int, err error) {
	n, err = wire.WriteNow(fd, o.block[o.start:o.end])
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
	case !c.output.isEmpty():
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
	n, err := 0, error(nil)
	switch {
	case len(pieces) > 1: // the first or last of them may be empty
		n, err = wire.WritevNow(c.fd, pieces)
	case len(pieces[0]) > 0:
		n, err = wire.WriteNow(c.fd, pieces[0])
	}
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
