package proxy

import (
	"bytes"
	"errors"
	"strconv"
)

// maxChunkLine is how long a line between two chunks may be, and how long all trailers.
const maxChunkLine = 4 << 10

// errChunks says that a body's chunks are not as they should be.
var errChunks = errors.New("malformed chunks")

// bodyEnd finds where the body of a request ends in what comes. The zero value has
// found it.
type bodyEnd struct {
	left   int64 // to come, without chunks
	chunks *chunks
}

// over tells whether the end was found.
func (e *bodyEnd) over() bool { return e.left == 0 && (e.chunks == nil || e.chunks.part == behind) }

// take returns how much of data belongs to the body.
func (e *bodyEnd) take(data []byte) (n int, err error) {
	if e.chunks != nil {
		return e.chunks.take(data)
	}
	n = int(min(e.left, int64(len(data))))
	e.left -= int64(n)
	return n, nil
}

// chunkPart is what comes next of a body in chunks.
type chunkPart int

const (
	size     chunkPart = iota // a line
	content                   // of a chunk
	dataEnd                   // an empty line
	trailers                  // lines, the last of them empty
	behind                    // the next request
)

// chunks follows a body in chunks (RFC 9112, section 7.1).
type chunks struct {
	part     chunkPart
	left     uint64 // of the content
	line     []byte // what has come of it
	trailers int    // bytes
}

// take returns how much of data belongs to the body. What is malformed does not.
func (c *chunks) take(data []byte) (n int, err error) {
	for n < len(data) && c.part != behind {
		if c.part == content {
			some := min(c.left, uint64(len(data)-n))
			n += int(some)
			if c.left -= some; c.left == 0 {
				c.part = dataEnd
			}
			continue
		}
		line, _, whole := bytes.Cut(data[n:], []byte("\n"))
		if c.line = append(c.line, line...); len(c.line) > maxChunkLine || whole && !c.endLine() {
			return n, errChunks
		}
		if n += len(line); whole {
			c.line = c.line[:0]
			n++
		}
	}
	return n, nil
}

// endLine goes on behind a line. False: it is malformed.
func (c *chunks) endLine() bool {
	line, ok := bytes.CutSuffix(c.line, []byte("\r"))
	if !ok || bytes.IndexByte(line, '\r') >= 0 {
		return false
	}
	switch c.part {
	case size:
		return c.readSize(line)
	case dataEnd:
		c.part = size
		return len(line) == 0
	}
	if len(line) == 0 {
		c.part = behind
		return true
	}
	c.trailers += len(line)
	_, _, ok = readField(string(line))
	return ok && c.trailers <= maxChunkLine
}

func (c *chunks) readSize(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";")) // extensions mean nothing to us
	n, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
	if c.left, c.part = n, content; n == 0 {
		c.part = trailers
	}
	return err == nil
}
