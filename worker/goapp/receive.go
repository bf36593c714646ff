package goapp

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// Receive reads what has arrived into buf; see wire.InFlight.
func (s *sent) Receive(buf *wire.Buffer) (wire.Part, error) {
	in := buf.Take(nil)
	have := copy(in, s.buffered)
	n, again, _ := s.conn.Read(in[have:])
	s.more = n == len(in)-have
	switch {
	case again:
		s.more = false
		return wire.Part{}, nil
	case n == 0 && s.begun:
		s.err = io.ErrUnexpectedEOF
		return wire.Part{}, s.err
	case n == 0: // Await reports why, or the buffer is full
		return wire.Part{}, wire.ErrMustWait
	}
	take := s.takeHead
	if s.begun {
		take = s.takeBody
	}
	p, err := take(in[:have+n])
	if p.End {
		s.worker.idle.put(s.conn)
	}
	return p, err
}

func (s *sent) keep(rest []byte) { s.buffered = append(s.buffered[:0], rest...) }

// takeHead takes the head of an answer, and what is here of its body.
func (s *sent) takeHead(data []byte) (wire.Part, error) {
	p, parsed, content, err := parseHead(data, s.head)
	if p.Head == nil || err != nil {
		s.keep(data)
		return wire.Part{}, err
	}
	s.body = parsed
	var rest []byte
	s.pieces, rest, p.End, err = s.body.contents(content, s.pieces[:0])
	if err != nil || p.End && len(rest) > 0 {
		s.keep(data)
		return wire.Part{}, wire.ErrMustWait
	}
	p.Body, s.begun = s.pieces, true
	s.keep(rest)
	return p, nil
}

// takeBody takes more of a body.
func (s *sent) takeBody(data []byte) (p wire.Part, err error) {
	var rest []byte
	s.pieces, rest, p.End, err = s.body.contents(data, s.pieces[:0])
	p.Body = s.pieces
	s.keep(rest)
	if err == nil && p.End && len(rest) > 0 {
		p.End, err = false, errBody
	}
	s.err = err
	return p, err
}

// parseHead parses the head of an answer. It returns no head and no error if that is not
// complete yet. content is what follows it, of a body that is still to be read.
func parseHead(data []byte, head bool) (p wire.Part, b body, content []byte, err error) {
	top, content, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	switch {
	case !ok:
		return p, b, nil, nil
	case bytes.Count(top, []byte("\n")) != bytes.Count(top, []byte("\r\n")): // some lines end with LF alone
		return p, b, nil, wire.ErrMustWait
	}
	line, lines, _ := strings.Cut(string(top), "\r\n")
	status, err := parseStatus(line)
	if err != nil {
		return p, b, nil, err
	}
	a := &wire.Answer{Status: status, Fields: make([][2]string, 0, strings.Count(lines, "\n")+1)}
	chunked := false
	err = wire.EachField(lines, func(name, value string) {
		if name == "Transfer-Encoding" && value == "chunked" && !chunked {
			chunked = true
			return
		}
		a.Fields = append(a.Fields, [2]string{name, value})
	})
	length, plain := a.Length()
	bodiless := head || wire.Bodiless(status)
	switch {
	case err != nil, !plain, chunked && length >= 0:
		return p, b, nil, wire.ErrMustWait
	case bodiless:
		length = max(length, 0)
		b = body{}
	case chunked:
		b = body{state: sizeLine}
	case length < 0: // the end of the connection is its end
		return p, b, nil, wire.ErrMustWait
	default:
		b = body{left: length}
	}
	p.Head, p.Length = a, length
	if chunked {
		p.Length = -1
	}
	return p, b, content, nil
}

// parseStatus parses a status line. It refuses an informational answer, which the answer
// itself follows.
func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	if !ok || err != nil || len(code) != 3 || n < 200 {
		return 0, wire.ErrMustWait
	}
	return n, nil
}

// Rest returns what Receive has not read of the body. The end of ctx ends the connection,
// and so the request's context in the worker.
func (s *sent) Rest(ctx context.Context) (io.ReadCloser, error) {
	f, err := s.conn.Wait()
	s.conn.Close()
	if err != nil {
		return nil, err
	}
	r := &rest{body: s.body, conn: f, unread: bytes.Clone(s.buffered)}
	a := &awaited{ReadCloser: r, ctx: ctx, conn: f}
	a.stop = context.AfterFunc(ctx, func() { f.Close() }) // the worker notices that
	return a, nil
}

// rest reads a body from a connection.
type rest struct {
	body    body
	conn    *os.File
	unread  []byte // was read from conn, and not parsed
	content []byte // of the body, and not returned by Read yet
	end     bool   // content is the last
	err     error
}

func (r *rest) Read(p []byte) (int, error) {
	for len(r.content) == 0 {
		switch {
		case r.end:
			return 0, io.EOF
		case r.err != nil:
			return 0, r.err
		}
		r.advance()
	}
	n := copy(p, r.content)
	r.content = r.content[n:]
	return n, nil
}

// advance takes the next piece of content, or reads more.
func (r *rest) advance() {
	r.content, r.unread, r.end, r.err = r.body.next(r.unread)
	if len(r.content) > 0 || r.end || r.err != nil {
		return
	}
	into := make([]byte, 16<<10)
	have := copy(into, r.unread)
	n, err := r.conn.Read(into[have:])
	if r.unread = into[:have+n]; err != nil {
		if r.err = err; err == io.EOF {
			r.err = io.ErrUnexpectedEOF
		}
	}
}

// Close does nothing: awaited closes the connection.
func (r *rest) Close() error { return nil }
