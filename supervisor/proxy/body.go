package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	bodyMemory = 256 << 10 // of a request body; the rest goes to a file
	bodyChunk  = 32 << 10
)

// errBodyTooLarge says that a request body is over max_body.
var errBodyTooLarge = errors.New("the request body is over max_body")

// errClientBody says that the client did not send the body it promised.
var errClientBody = errors.New("read the request body")

// body is a whole request body: in memory, its rest in a file without a name.
type body struct {
	mem  []byte
	file *os.File
	size int64
}

// readBody reads the whole body of r, as slowly as the client likes to send it.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, dir string) (*body, error) {
	b := &body{}
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return b, nil
	}
	if limit > 0 && r.ContentLength > limit {
		return nil, errBodyTooLarge
	}
	if limit == 0 {
		limit = 1<<63 - 1
	}
	if err := b.fill(&patient{rc: http.NewResponseController(w), r: r.Body}, r.ContentLength, limit, dir); err != nil {
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
	var mem bytes.Buffer
	mem.Grow(int(min(first, bodyChunk)) + bytes.MinRead)
	n, err := mem.ReadFrom(io.LimitReader(in, min(first, limit)+1))
	b.mem, b.size = mem.Bytes(), n
	if err != nil {
		return errors.Join(errClientBody, err)
	}
	if n > limit {
		return errBodyTooLarge
	}
	if n <= first {
		return nil
	}
	return b.fillFile(in, limit, dir)
}

func (b *body) fillFile(in io.Reader, limit int64, dir string) error {
	f, err := os.CreateTemp(dir, "body-*")
	if err != nil {
		return err
	}
	b.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	buf := make([]byte, bodyChunk)
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

// rewind returns a reader of the whole body.
func (b *body) rewind() io.ReadCloser {
	switch {
	case b.size == 0:
		return http.NoBody
	case b.file == nil:
		return io.NopCloser(bytes.NewReader(b.mem))
	}
	rest := io.NewSectionReader(b.file, 0, b.size-int64(len(b.mem)))
	return io.NopCloser(io.MultiReader(bytes.NewReader(b.mem), rest))
}

func (b *body) close() {
	if b.file != nil {
		b.file.Close()
	}
}

// patient gives a client clientTimeout for every read of its body.
type patient struct {
	rc *http.ResponseController
	r  io.Reader
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(clientTimeout)) // an error: no deadlines, in tests
	n, err := p.r.Read(b)
	if err != nil {
		_ = p.rc.SetReadDeadline(time.Time{}) // the next request has its own limits
	}
	return n, err
}
