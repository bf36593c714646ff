package fastloop

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// reply is an answer on its way to the client. Its zero value has not begun.
type reply struct {
	begun   bool       // its head is written, or in the output
	ended   bool       // all of it was read from the worker, which is released
	last    bool       // the connection ends with it
	chunked bool       // its body is sent in chunks, as its length is not known
	entry   site.Entry // of the access log, at the end
	head    int        // bytes of the head
	left    int64      // bytes of the body that have not come from the worker yet; -1: not known
	body    int64      // bytes that have
	taken   int64      // bytes that the client has taken, of head and chunk sizes too
	moved   time.Time  // when the client took some, or first did not
	came    time.Time  // when some came from the worker
}

// Why an answer is cut.
var (
	errLonger  = errors.New("the answer is longer than its Content-Length")
	errShorter = errors.New("the answer is shorter than its Content-Length")
)

// count counts size bytes of the body. It returns how many of them may be sent, and why
// the answer must be cut after them; end: they are the last.
func (r *reply) count(size int64, end bool) (int64, error) {
	if r.left < 0 {
		r.body += size
		return size, nil
	}
	if size > r.left { // with the rest of the length it would look whole
		return 0, errLonger
	}
	r.left -= size
	r.body += size
	if end && r.left > 0 {
		return size, errShorter
	}
	return size, nil
}

const (
	maxCopied = 4 << 10 // of a body: so much is copied behind its head, to be written in one piece
	maxPieces = 64      // of a body: more are copied, since the kernel takes no more than 1024
)

// compose returns what the client gets for a part of the answer, after what l.out has. It
// is valid until it is called again. err is why the answer must be cut after it.
func (c *client) compose(p wire.Part) (pieces [][]byte, err error) {
	l, r := c.loop, &c.reply
	if p.Head == nil {
		l.out = l.out[:0]
	}
	size, err := r.count(p.Size(), p.End)
	if r.chunked && size > 0 {
		l.out = append(strconv.AppendInt(l.out, size, 16), "\r\n"...)
	}
	body := p.Body
	if size == 0 {
		body = nil
	}
	tail := r.tail(size, p.End)
	if size > maxCopied && len(body) <= maxPieces {
		l.pieces = append(append(append(l.pieces[:0], l.out), body...), tail)
		return l.pieces, err
	}
	for _, piece := range body {
		l.out = append(l.out, piece...)
	}
	l.out = append(l.out, tail...)
	return append(l.pieces[:0], l.out), err
}

var chunkEnd, lastChunk, chunkEndAndLast = []byte("\r\n"), []byte("0\r\n\r\n"), []byte("\r\n0\r\n\r\n")

// tail returns what follows a chunk of size bytes; nil: nothing does.
func (r *reply) tail(size int64, end bool) []byte {
	switch {
	case !r.chunked, size == 0 && !end:
		return nil
	case size == 0:
		return lastChunk
	case end:
		return chunkEndAndLast
	}
	return chunkEnd
}

// took notes that the client has taken n bytes.
func (c *client) took(n int, now time.Time) {
	if n > 0 {
		c.reply.taken += int64(n)
		c.reply.moved = now
	}
}

// isLast reports whether the connection ends with the answer under way.
func (c *client) isLast() bool {
	return c.request.last || c.loop.isClosing() || c.loop.endingTLS && c.secure != nil
}

// replied is called when the client has taken all of its answer.
func (c *client) replied(now time.Time) {
	last := c.reply.last || c.isLast()
	c.record(now)
	if last {
		c.linger()
		return
	}
	c.endRequest()
	c.start, c.patience = now, c.loop.o.Timeouts.Idle
	if c.hasMore() { // others get their turn before, and the stack would grow with each request
		c.loop.more = append(c.loop.more, c)
	}
}

// leave ends the connection of a client that has left, or whose time is up, within its
// answer.
func (c *client) leave(now time.Time) {
	if !c.reply.ended {
		c.giveUp(context.Canceled)
	}
	if c.secure.holds() {
		c.reply.taken = max(c.reply.taken-int64(len(c.secure.records.out)), 0)
	}
	if c.reply.taken == 0 {
		c.reply.entry.Status = site.StatusClientGone
	}
	c.record(now)
	c.close()
}

// record writes the answer to the access log.
func (c *client) record(now time.Time) {
	e := &c.reply.entry
	e.Took, e.Bytes = now.Sub(e.Time), c.reply.bodyTaken()
	if e.App == 0 && !c.sent.IsZero() { // its worker's end was not seen
		e.App = now.Sub(c.sent)
	}
	c.site.Record(e)
}

// bodyTaken returns how many bytes of the body the client has taken.
func (r *reply) bodyTaken() int64 { return min(max(r.taken-int64(r.head), 0), r.body) }

// cut ends the connection within an answer that cannot go on.
func (c *client) cut(err error, now time.Time) {
	logCut(c.site.Log, c.reply.entry.Worker, c.request.what(), err)
	if !c.reply.ended {
		c.reply.ended = true
		c.giveUp(err)
	}
	c.record(now)
	c.close()
}

// giveUp gives back a worker whose answer is not read to its end.
func (c *client) giveUp(err error) {
	if !c.recallFollowers() && c.readToEnd(func(wire.Part) {}) == nil {
		return
	}
	c.direct.CloseLine()
	direct := c.direct
	c.leaveLine()
	direct.Fail(err)
}

// maxInSocket is more than what fits into the socket: a worker that has begun its next
// request while nobody reads cannot have written a larger rest of an answer.
const maxInSocket = 1 << 20

var errEndless = errors.New("the worker has begun the next request within its answer")

// readToEnd reads the rest of an answer whose worker has begun the next: it is all here.
// f is called for each part.
func (c *client) readToEnd(f func(wire.Part)) error {
	for read := int64(0); read < maxInSocket; {
		p, err := c.direct.Receive(c.loop.in)
		if f(p); err != nil {
			return err
		}
		if p.End {
			c.reply.ended = true
			c.loop.unread = append(c.loop.unread, c.workerFD) // the next answer may be here
			c.leaveLine()
			c.direct.Release()
			c.loop.takeNotified()
			return nil
		}
		if p.IsEmpty() {
			break
		}
		read += p.Size()
	}
	return errEndless
}
