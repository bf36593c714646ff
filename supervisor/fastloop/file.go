package fastloop

import (
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/static"
	"github.com/multisite/multisite/worker/wire"
)

const (
	filePiece = 128 << 10 // of a file, in one write
	fileWorth = 8 << 10   // a larger rest of a file is sent by the kernel
	fileTurn  = 256 << 10 // of a file, before others get their turn
)

// fileOutput is the answer to a request for a file. Its zero value is none. No memory is
// held for what the client does not take: it is read again.
type fileOutput struct {
	file   *static.File // nil: none
	answer wire.Answer  // its head, and what is no part of the file
	first  int          // bytes of answer
	start  int64        // where in the file the part begins that follows
	length int64        // of that part
	queued bool         // in Loop.sending
}

// diskWait is a question to a disk that may be slow.
type diskWait struct{ since time.Time }

// findFile begins a request for what may be a static file.
func (c *client) findFile() {
	l, s := c.loop, c.site
	wanted := static.Wanted{Path: c.request.Path, Accept: c.request.field("Accept-Encoding"), Plain: c.request.hasField("Range")}
	if found, ok := l.o.Files.Cached(s, wanted); ok {
		c.found(found)
		return
	}
	wait := c.awaitDisk()
	l.o.Files.Find(s, wanted, func(found static.Found) {
		c.resume(wait, func() { c.found(found) }, found.Release)
	})
}

// found goes on with a request when it is known whether it is for a file.
func (c *client) found(found static.Found) {
	f := found.File
	if found.IsNothing() {
		c.enqueue()
		return
	}
	var r static.Reply
	ok := false
	if f != nil {
		r, ok = f.ReplyTo(c.request.Method, c.request.Fields)
	}
	if !ok { // a page that says so, another place, or several parts of the file
		found.Release()
		c.detach()
		return
	}
	r.Fields = f.Plan().Fields(c.site.Headers.Apply(r.Fields))
	c.promiseTLS(&r.Answer)
	c.file = fileOutput{file: f, answer: r.Answer, start: r.Offset, length: r.Length}
	c.reply = reply{begun: true, ended: true, last: c.isLast(), entry: c.entry(&r.Answer, ""), body: r.Length + int64(len(r.Body)), moved: time.Now()}
	c.sendFile()
}

// sendFile sends as much as the client takes, and no more than fileTurn.
func (c *client) sendFile() {
	for sent := 0; sent < fileTurn; {
		if c.mayTransfer() {
			head := c.fileHead()
			n, err := c.file.file.SendTo(c.fd, head, c.file.at(&c.reply), c.file.left(&c.reply))
			if err != static.ErrMustWait {
				if !c.transferred(head, n, err) {
					return
				}
				sent += n
				continue
			}
		}
		p, err := c.nextPiece()
		if err != nil {
			c.filePaused(err)
			return
		}
		if !c.writePiece(p) {
			return
		}
		sent += len(p)
	}
	c.file.queued = true
	c.loop.sending = append(c.loop.sending, c)
}

// mayTransfer reports whether the kernel is to send what comes next. It pays for more than
// a small piece. It cannot encrypt.
func (c *client) mayTransfer() bool {
	return c.secure == nil && c.file.left(&c.reply) > fileWorth && !c.file.file.InMemory()
}

// transferred notes what was sent of head and by the kernel, and reports whether the client
// may take more.
func (c *client) transferred(head []byte, n int, err error) (more bool) {
	now := time.Now()
	c.took(n, now)
	switch {
	case n < len(head) && (err == nil || err == unix.EAGAIN):
		c.keepHead(head[n:], now)
	case err == io.EOF:
		c.cutFile()
	case err == unix.EAGAIN:
	case err != nil:
		c.leave(now)
	case c.file.left(&c.reply) == 0:
		c.replied(now)
	default:
		return true
	}
	return false
}

// nextPiece returns what is to be sent next, if that is in memory.
func (c *client) nextPiece() ([]byte, error) {
	out := c.fileHead()
	want := int(min(c.file.left(&c.reply), filePiece))
	if want == 0 {
		return out, nil
	}
	out = slices.Grow(out, want)
	n, err := c.file.file.ReadNow(out[len(out):len(out)+want], c.file.at(&c.reply))
	c.loop.out = out[:len(out)+n]
	return c.loop.out, err
}

// fileHead returns the head of the answer, in Loop.out, or nothing if it was sent.
func (c *client) fileHead() []byte {
	l := c.loop
	l.out = l.out[:0]
	if c.reply.taken == 0 {
		c.promiseTLS(&c.file.answer)
		l.out = appendAnswer(l.out, &c.file.answer, c.request.id, c.request.Method == http.MethodHead, c.reply.last, l.date.at(time.Now()))
		c.file.first, c.reply.head = len(l.out), len(l.out)-len(c.file.answer.Body)
	}
	return l.out
}

// writePiece writes what nextPiece has returned, and reports whether there is more to send
// that the client may take.
func (c *client) writePiece(p []byte) (more bool) {
	now, begins := time.Now(), c.reply.taken == 0
	n, err := c.write(p)
	c.took(n, now)
	switch {
	case err != nil && err != unix.EAGAIN:
		c.leave(now)
		return false
	case begins && n < c.file.first:
		c.keepHead(p[max(n, 0):c.file.first], now)
		return false
	case c.secure.holds():
		return false
	case c.file.left(&c.reply) == 0:
		c.replied(now)
		return false
	}
	return n == len(p)
}

// keepHead lets the rest of a head wait that the client did not take.
func (c *client) keepHead(rest []byte, now time.Time) {
	switch {
	case c.output.add(c.loop.o.Store, [][]byte{rest}):
	case c.reply.taken == 0:
		c.detach()
	default:
		c.leave(now)
	}
}

// fileWritable goes on with a file when the client takes more.
func (c *client) fileWritable() {
	if c.file.queued || c.disk != nil {
		return
	}
	if c.file.first > 0 && c.file.left(&c.reply) == 0 {
		c.replied(time.Now())
		return
	}
	c.output.drop(c.loop.o.Store)
	c.sendFile()
}

// sendFiles goes on with the files that had their turn before.
func (l *Loop) sendFiles() {
	sending := l.sending
	l.sending = nil
	for _, c := range sending {
		if c.file.queued {
			c.file.queued = false
			c.sendFile()
		}
	}
}

// filePaused is called when nothing of the file can be sent now.
func (c *client) filePaused(err error) {
	if err != static.ErrMustWait {
		c.cutFile()
		return
	}
	l, f, at, want, wait := c.loop, c.file.file, c.file.at(&c.reply), c.file.left(&c.reply), c.awaitDisk()
	f.OnDisk(func() {
		block := l.o.Store.Block()
		if block == nil {
			block = make([]byte, 4<<10)
		}
		n, _ := f.ReadAt(block[:min(int64(len(block)), want)], at) // an error after some bytes comes again
		give := func() { l.o.Store.GiveBlock(block) }
		c.resume(wait, func() { c.fileRead(block[:n]); give() }, give)
	})
}

// fileRead sends what was read from the disk.
func (c *client) fileRead(p []byte) {
	if len(p) == 0 {
		c.cutFile()
		return
	}
	c.loop.out = append(c.fileHead(), p...)
	if c.writePiece(c.loop.out) {
		c.sendFile()
	}
}

// cutFile ends an answer of which the rest cannot be read, because the file was truncated.
// If nothing was sent yet, net/http looks the file up again.
func (c *client) cutFile() {
	if c.reply.taken > 0 || !c.output.isEmpty() {
		c.leave(time.Now())
		return
	}
	c.loop.o.Files.Forget(c.site, c.request.Path)
	c.detach()
}

// awaitDisk notes that the request waits for a disk.
func (c *client) awaitDisk() *diskWait {
	c.disk = &diskWait{time.Now()}
	c.loop.gaveWork = true
	return c.disk
}

// resume lets the thread call goOn, or drop if the request does not wait any more.
func (c *client) resume(wait *diskWait, goOn, drop func()) {
	if !c.loop.post(func() {
		if c.disk != wait {
			drop()
			return
		}
		c.disk = nil
		goOn()
	}) {
		drop()
	}
}

// diskHangs ends a request that waits for a disk for too long.
func (c *client) diskHangs(now time.Time) {
	if c.reply.taken > 0 || !c.output.isEmpty() {
		c.leave(now)
		return
	}
	c.detachFailed(static.ErrSlow)
}

// at returns where in the file the next byte is that the client gets.
func (o *fileOutput) at(r *reply) int64 { return o.start + o.length - o.left(r) }

// left returns how many bytes of the file are still to be sent.
func (o *fileOutput) left(r *reply) int64 {
	return o.length - max(r.taken-int64(o.first), 0)
}

// drop ends the use of the file.
func (o *fileOutput) drop() {
	if o.file != nil {
		o.file.Release()
	}
	*o = fileOutput{}
}
