package goapp

import (
	"bytes"
	"errors"
	"strconv"
)

// maxSizeLine bounds a line between two chunks, with its extensions.
const maxSizeLine = 4 << 10

var errBody = errors.New("malformed body of an answer")

// body is what is missing of the body of an answer, in HTTP/1.1. Its zero value is an empty
// one. A body is a value: a copy can read ahead.
type body struct {
	state bodyState
	left  int64 // bytes missing of the content, or of the chunk
}

// bodyState says what comes next.
type bodyState int

const (
	content   bodyState = iota // the rest of a body with a length
	sizeLine                   // the size of a chunk
	chunk                      // the rest of a chunk
	afterLine                  // the end of line after a chunk
	trailer                    // what follows the last chunk
)

// contents splits the content off data, up to the end of the body.
func (b *body) contents(data []byte, pieces [][]byte) (_ [][]byte, rest []byte, end bool, err error) {
	for {
		piece, rest, end, err := b.next(data)
		if len(piece) > 0 {
			pieces = append(pieces, piece)
		}
		if end || err != nil || len(piece) == 0 {
			return pieces, rest, end, err
		}
		data = rest
	}
}

// next splits the next piece of content off data. If data ends before that, the caller
// passes rest again together with what follows it.
func (b *body) next(data []byte) (piece, rest []byte, end bool, err error) {
	for {
		switch b.state {
		case content, chunk:
			n := int(min(b.left, int64(len(data))))
			b.left -= int64(n)
			piece, data = data[:n], data[n:]
			if b.state == chunk && b.left == 0 {
				b.state = afterLine
			}
			if end = b.state == content && b.left == 0; n > 0 || end || len(data) == 0 {
				return piece, data, end, nil
			}
		default:
			line, after, ok := bytes.Cut(data, []byte("\r\n"))
			if !ok {
				if len(data) > maxSizeLine {
					err = errBody
				}
				return nil, data, false, err
			}
			if end, err = b.line(line); end || err != nil {
				return nil, after, end, err
			}
			data = after
		}
	}
}

// line takes a line that is no content.
func (b *body) line(line []byte) (end bool, err error) {
	switch b.state {
	case trailer: // nobody asks for it
		return len(line) == 0, nil
	case afterLine:
		b.state = sizeLine
		if len(line) > 0 {
			err = errBody
		}
		return false, err
	}
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, err := strconv.ParseUint(string(digits), 16, 62)
	if err != nil || len(digits) > 15 || bytes.ContainsAny(line, "\r\n") {
		return false, errBody
	}
	b.state, b.left = chunk, int64(size)
	if size == 0 {
		b.state = trailer
	}
	return false, nil
}
