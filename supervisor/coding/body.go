package coding

import (
	"bytes"
	"errors"
	"io"
)

// Why the body of an answer is not as it was announced.
var (
	ErrLonger  = errors.New("the answer is longer than its Content-Length")
	ErrShorter = errors.New("the answer is shorter than its Content-Length")
)

// Body encodes the body of an answer. What is written goes out at once. Its owner calls
// End, or GiveUp.
type Body struct {
	writer *Writer
	left   int64 // -1: not known
}

// NewBody returns a Body that writes to w, for an answer of this length; -1: it is not
// known.
func NewBody(c Coding, w io.Writer, length int64) *Body { return &Body{c.NewWriter(w), length} }

// Write encodes a piece.
func (b *Body) Write(p []byte) (int, error) {
	if b.left >= 0 {
		if int64(len(p)) > b.left {
			return 0, ErrLonger
		}
		b.left -= int64(len(p))
	}
	n, err := b.writer.Write(p)
	if err == nil {
		err = b.writer.Flush()
	}
	return n, err
}

// End writes what is left. It returns ErrShorter, and writes nothing, if that is not all.
func (b *Body) End() error {
	if b.left > 0 {
		b.GiveUp()
		return ErrShorter
	}
	return b.writer.Close()
}

// GiveUp is for a body that breaks off.
func (b *Body) GiveUp() { b.writer.GiveUp() }

// EncodeNow returns p encoded, made for speed.
func (c Coding) EncodeNow(p []byte) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(p)/4+64))
	w := c.NewWriter(out)
	_, _ = w.Write(p) // cannot fail: it writes into memory
	_ = w.Close()
	return out.Bytes()
}
