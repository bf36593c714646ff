package fastloop

import (
	"bytes"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// smallBody is how large a body may be that gets memory of its size. Larger ones share
// blocks: to make, to clear and to collect memory for each costs up to a quarter of the
// request.
const smallBody = 512

// bodyBlock is memory for a body, and one byte more.
type bodyBlock struct {
	bytes []byte
	from  *sync.Pool
}

// blockSizes are those of the blocks, without the byte more.
var blockSizes = [...]int{4 << 10, 16 << 10, maxSimpleBody}

// blockFor returns which of blockSizes a body gets; -1: none.
func blockFor(length int64) int {
	if length <= smallBody {
		return -1
	}
	return slices.IndexFunc(blockSizes[:], func(size int) bool { return length <= int64(size) })
}

// memoryFor returns how many bytes of memory a body takes.
func memoryFor(length int64) int {
	if i := blockFor(length); i >= 0 {
		return blockSizes[i] + 1
	}
	return max(int(length), 0)
}

// bodyMemory returns memory for a body of n bytes. There is room for one more, which shows
// that there is more to read.
func (c *client) bodyMemory(n int) []byte {
	i := blockFor(int64(n))
	if i < 0 {
		return make([]byte, 0, n+1)
	}
	from := &c.loop.blocks[i]
	c.block, _ = from.Get().(*bodyBlock)
	if c.block == nil {
		c.block = &bodyBlock{make([]byte, blockSizes[i]+1), from}
	}
	return c.block.bytes[: 0 : n+1]
}

// freeBody gives back the memory of the body. A worker got a copy of it.
func (c *client) freeBody() {
	if c.held > 0 {
		c.loop.o.Store.Give(c.held)
		c.held = 0
	}
	if c.block != nil {
		c.block.from.Put(c.block)
		c.block = nil
	}
}

// takeBody takes the body from what was read after the head. It goes on when all of it is
// here.
func (c *client) takeBody(rest []byte) {
	n := max(int(c.request.Length), 0)
	if n == 0 {
		c.buffered = bytes.Clone(rest)
		c.enqueue()
		return
	}
	c.request.Body = append(c.bodyMemory(n), rest[:min(n, len(rest))]...)
	if len(rest) >= n {
		c.buffered = bytes.Clone(rest[n:])
		c.enqueue()
		return
	}
	c.detachAt = c.start.Add(bodyPatience)
	if c.unread { // no event reports what is left
		c.unread = false
		c.readBody()
	}
}

// lacksBody reports whether a part of the body is still to come.
func (c *client) lacksBody() bool { return len(c.request.Body) < int(c.request.Length) }

// readBody reads what has arrived of the body.
func (c *client) readBody() {
	b := c.request.Body
	n, more, err := c.read(b[len(b):cap(b)])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case n <= 0:
		c.gone = true
		c.detach()
		return
	}
	b = b[:len(b)+n]
	c.unread = more
	if length := int(c.request.Length); len(b) > length {
		c.buffered = []byte{b[length]}
		b = b[:length]
	}
	c.request.Body = b
	switch {
	case c.gone:
		c.detach() // net/http reads to the end, and notices when the client closes the other side, too
	case !c.lacksBody():
		c.enqueue()
	case c.unread: // others get their turn before
		c.loop.more = append(c.loop.more, c)
	}
}
