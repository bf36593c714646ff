package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// errBodyTooLarge says that a request body is over max_body.
var errBodyTooLarge = errors.New("the request body is over max_body")

// errClientBody says that the client did not send the body it promised.
var errClientBody = errors.New("read the request body")

// body is a whole request body: in memory, or in a file without a name.
type body struct {
	memory *memory
	held   int // of memory
	mem    []byte
	file   *os.File
	size   int64
}

// readBody reads the whole request body, as slowly as the client likes to send it.
func (e *exchange) readBody() (*body, error) {
	b := &body{memory: e.proxy.memory}
	if e.r.ContentLength == 0 {
		return b, nil
	}
	limit := e.site.MaxBody
	if limit > 0 && e.r.ContentLength > limit {
		return nil, errBodyTooLarge
	}
	if limit == 0 {
		limit = 1<<63 - 1
	}
	if err := b.fill(patient{e}, e.r.ContentLength, limit, e.proxy.dir); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *body) fill(in io.Reader, length, limit int64, dir string) error {
	first := int64(bodyMemory)
	if length >= 0 {
		first = min(first, length)
	}
	if length <= bodyMemory && b.memory.take(int(first)) {
		b.held = int(first)
		if whole, err := b.fillMemory(in, first, limit); whole || err != nil {
			return err
		}
	}
	return b.fillFile(in, limit, dir)
}

// fillMemory tells whether that was all. It reads one byte more than first, to see.
func (b *body) fillMemory(in io.Reader, first, limit int64) (whole bool, err error) {
	var mem bytes.Buffer
	mem.Grow(int(min(first, copyBuffer)) + bytes.MinRead)
	n, err := mem.ReadFrom(io.LimitReader(in, min(first, limit)+1))
	b.mem, b.size = mem.Bytes(), n
	switch {
	case err != nil:
		return false, errors.Join(errClientBody, err)
	case n > limit:
		return false, errBodyTooLarge
	}
	return n <= first, nil
}

// fillFile moves what is in memory to a file, and the rest behind it.
func (b *body) fillFile(in io.Reader, limit int64, dir string) error {
	f, err := os.CreateTemp(dir, "body-*")
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
	buf := b.memory.some()
	defer b.memory.back(buf)
	for {
		n, err := in.Read(buf)
		if b.size += int64(n); b.size > limit {
			return errBodyTooLarge
		}
		if _, werr := f.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return errors.Join(errClientBody, err)
		}
	}
}

// free gives memory back.
func (b *body) free() {
	b.memory.give(b.held)
	b.mem, b.held = nil, 0
}

// rewind returns a reader of the whole body.
func (b *body) rewind() io.ReadCloser {
	switch {
	case b.size == 0:
		return http.NoBody
	case b.file == nil:
		return io.NopCloser(bytes.NewReader(b.mem))
	}
	return io.NopCloser(io.NewSectionReader(b.file, 0, b.size))
}

// close frees what the body holds. It may be called more than once.
func (b *body) close() {
	b.free()
	if b.file != nil {
		b.file.Close() // a second time is no error that matters
	}
}

// patient gives a client its time for every read of its body. net/http ends
// that limit with the body.
type patient struct{ e *exchange }

func (p patient) Read(b []byte) (int, error) {
	p.e.setReadDeadline()
	return p.e.r.Body.Read(b)
}

// setReadDeadline gives the client its time for the next read.
func (e *exchange) setReadDeadline() {
	// An error means a connection without deadlines, in tests.
	_ = http.NewResponseController(e.w).SetReadDeadline(time.Now().Add(e.proxy.timeouts.Client))
}
