package httphead

import (
	"bytes"
	"errors"
	"strconv"
)

// maxChunkLine is how long a line between two chunks may be, and all trailers together.
const maxChunkLine = 4 << 10

// errChunks says that the chunks of a body are malformed.
var errChunks = errors.New("malformed chunks")

// BodyEnd finds the end of a request's body in the bytes that arrive. The zero value has
// found it: it is that of a request without a body.
type BodyEnd struct {
	left   int64   // bytes to come of a body with a length
	chunks *chunks // of a body in chunks; nil: it has a length
}

// EndAfter returns the end of a body with a length; at most 0: there is no body.
func EndAfter(length int64) BodyEnd { return BodyEnd{left: max(length, 0)} }

// Found reports whether the end was found.
func (e *BodyEnd) Found() bool { return e.left == 0 && (e.chunks == nil || e.chunks.part == afterBody) }

// Take returns how many bytes of data belong to the body.
func (e *BodyEnd) Take(data []byte) (n int, err error) {
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
	sizeLine  chunkPart = iota
	content             // of a chunk
	dataEnd             // the empty line after the content
	trailers            // lines, the last of them empty
	afterBody           // the next request
)

// chunks follows a body in chunks (RFC 9112, section 7.1).
type chunks struct {
	part     chunkPart
	left     uint64 // bytes to come of the content
	line     []byte // what has arrived of a line
	trailers int    // bytes of all trailers so far
}

// take returns how many bytes of data belong to the body. Malformed bytes do not.
func (c *chunks) take(data []byte) (n int, err error) {
	for n < len(data) && c.part != afterBody {
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

// endLine reads a whole line. It returns false for a malformed one.
func (c *chunks) endLine() bool {
	line, ok := bytes.CutSuffix(c.line, []byte("\r"))
	if !ok || bytes.IndexByte(line, '\r') >= 0 {
		return false
	}
	switch c.part {
	case sizeLine:
		return c.readSize(line)
	case dataEnd:
		c.part = sizeLine
		return len(line) == 0
	}
	if len(line) == 0 {
		c.part = afterBody
		return true
	}
	c.trailers += len(line)
	_, _, ok = readField(string(line))
	return ok && c.trailers <= maxChunkLine
}

func (c *chunks) readSize(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";")) // extensions are ignored
	n, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
	if c.left, c.part = n, content; n == 0 {
		c.part = trailers
	}
	return err == nil
}
