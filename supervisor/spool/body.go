package spool

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
)

// ErrBodyTooLarge says that a request body is over max_body.
var ErrBodyTooLarge = errors.New("the request body is over max_body")

// ErrClientBody says that the client did not send the body that it promised.
var ErrClientBody = errors.New("read the request body")

// Body is a whole request body: in memory, or in a file without a name. The goroutine
// that has the request uses it.
type Body struct {
	store *Store
	held  int      // bytes of the store's memory
	mem   []byte   // the body; nil if file is not
	file  *os.File // the body; nil: it is in mem
	size  int64
}

// ReadBody reads a whole request body of at most limit bytes; 0 is no limit. length is
// -1 if it is not known.
func (s *Store) ReadBody(in io.Reader, length, limit int64) (*Body, error) {
	b := &Body{store: s}
	if limit > 0 && length > limit {
		return nil, ErrBodyTooLarge
	}
	if limit == 0 {
		limit = 1<<63 - 1
	}
	if err := b.fill(in, length, limit); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// NoBody returns the body of a request without one.
func (s *Store) NoBody() *Body { return &Body{store: s} }

func (b *Body) fill(in io.Reader, length, limit int64) error {
	first := int64(BodyMemory)
	if length >= 0 {
		first = min(first, length)
	}
	if length <= BodyMemory && b.store.Take(int(first)) {
		b.held = int(first)
		if whole, err := b.fillMemory(in, first, limit); whole || err != nil {
			return err
		}
	}
	return b.fillFile(in, limit)
}

// fillMemory reads up to first bytes into memory, and one more, to report whether that
// was all.
func (b *Body) fillMemory(in io.Reader, first, limit int64) (whole bool, err error) {
	var mem bytes.Buffer
	mem.Grow(int(min(first, CopySize)) + bytes.MinRead)
	n, err := mem.ReadFrom(io.LimitReader(in, min(first, limit)+1))
	b.mem, b.size = mem.Bytes(), n
	switch {
	case err != nil:
		return false, errors.Join(ErrClientBody, err)
	case n > limit:
		return false, ErrBodyTooLarge
	}
	return n <= first, nil
}

// fillFile moves what is in memory to a file, and reads the rest into it.
func (b *Body) fillFile(in io.Reader, limit int64) error {
	f, err := os.CreateTemp(b.store.dir, "body-*")
	if err != nil {
		return err
	}
	b.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(b.mem); err != nil {
		return err
	}
	b.free()
	buf := b.store.blockOrLess()
	defer b.store.GiveBlock(buf)
	for {
		n, err := in.Read(buf)
		if b.size += int64(n); b.size > limit {
			return ErrBodyTooLarge
		}
		if _, werr := f.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.Join(ErrClientBody, err)
		}
	}
}

// free gives the memory back.
func (b *Body) free() {
	b.store.Give(b.held)
	b.mem, b.held = nil, 0
}

// Size returns the length of the body.
func (b *Body) Size() int64 { return b.size }

// Reader returns a reader of the whole body.
func (b *Body) Reader() io.ReadCloser {
	switch {
	case b.size == 0:
		return http.NoBody
	case b.file == nil:
		return io.NopCloser(bytes.NewReader(b.mem))
	}
	return io.NopCloser(io.NewSectionReader(b.file, 0, b.size))
}

// Close frees what the body holds. It may be called more than once.
func (b *Body) Close() {
	b.free()
	if b.file != nil {
		b.file.Close() // the error of a second call does not matter
	}
}
