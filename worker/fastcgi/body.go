package fastcgi

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// maxHead bounds the header block of an answer.
const maxHead = 256 << 10

// Body is the body of an answer, read from the connection as it comes.
type Body struct {
	conn     *conn
	deadline time.Time

	buffered []byte // read already, before what the connection holds
	left     int    // bytes left in the current STDOUT record
	padding  int    // that follow the current record
	ended    bool   // END_REQUEST was read
	err      error
	closed   bool
}

// Complete tells that the whole answer is here: reading it does not wait, and
// the worker is already free.
func (b *Body) Complete() bool { return b.ended }

// Read reads the body. A worker that ends without END_REQUEST is
// io.ErrUnexpectedEOF, never a clean end.
func (b *Body) Read(p []byte) (int, error) {
	if len(b.buffered) > 0 {
		n := copy(p, b.buffered)
		b.buffered = b.buffered[n:]
		return n, nil
	}
	if b.err == nil && b.left == 0 && !b.ended {
		b.advance()
	}
	switch {
	case b.err != nil:
		return 0, b.err
	case b.ended:
		return 0, io.EOF
	}
	n, err := b.conn.br.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.err = connError(err)
	return n, b.err
}

// Buffered tells whether Read has something to return without waiting.
func (b *Body) Buffered() bool {
	return len(b.buffered) > 0 || b.ended || b.left > 0 && b.conn.br.Buffered() > 0
}

// Close gives the connection back. Where the answer was not read to its end the
// connection is closed, and Close waits until the worker has left the request.
func (b *Body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	if b.ended {
		return nil
	}
	b.conn.close()
	if b.err != nil {
		return b.err
	}
	return b.conn.client.reopen(b.deadline)
}

// advance goes on to the next content of the body, or frees the connection at
// the end.
func (b *Body) advance() {
	b.err = connError(b.nextContent())
	if b.ended {
		b.free()
	}
}

// nextContent reads records up to the next one that has STDOUT content, or the
// end of the request.
func (b *Body) nextContent() error {
	br := b.conn.br
	for {
		if _, err := br.Discard(b.padding); err != nil {
			return err
		}
		b.padding = 0
		b.conn.awaitPassedOver()
		rec, err := next(br, b.conn.id)
		if err != nil {
			return err
		}
		b.padding = rec.padding
		switch rec.typ {
		case typeStdout:
			if rec.content > 0 {
				b.left = rec.content
				return nil
			}
		case typeStderr:
			err = b.stderr(rec.content)
		case typeEndRequest:
			return b.end(rec)
		case typeGetValuesResult:
			// Some workers, as net/http/fcgi, end the answer to a probe with an
			// empty record, like a stream. It may come late.
			switch {
			case b.conn.greeted:
				b.padding = 0
				err = b.conn.values(rec)
			case rec.content > 0:
				err = malformed("an answer to FCGI_GET_VALUES within a request")
			}
		default:
			err = malformed("record type %d", rec.typ)
		}
		if err != nil {
			return err
		}
	}
}

func (b *Body) stderr(n int) error {
	text := make([]byte, n)
	if _, err := io.ReadFull(b.conn.br, text); err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		b.conn.client.opts.Stderr(strings.TrimRight(line, "\r\n"))
	}
	return nil
}

// end reads the content of END_REQUEST (section 5.5).
func (b *Body) end(rec record) error {
	if rec.content != endSize {
		return malformed("END_REQUEST of %d bytes", rec.content)
	}
	content, err := b.conn.br.Peek(endSize + rec.padding)
	if err != nil {
		return err
	}
	if protocolStatus := content[4]; protocolStatus != 0 {
		return malformed("request refused with protocol status %d", protocolStatus)
	}
	_, _ = b.conn.br.Discard(len(content)) // they were just peeked
	b.padding = 0
	if b.conn.br.Buffered() > 0 && len(b.conn.skip) == 0 { // of what was passed over nobody waits to hear
		return malformed("%d bytes after END_REQUEST", b.conn.br.Buffered())
	}
	b.ended = true
	return nil
}

// free gives the connection back, after the request body was sent.
func (b *Body) free() {
	c := b.conn
	if c.sent != nil {
		err := <-c.sent
		c.sent = nil
		if err != nil {
			c.close()
			return
		}
	}
	c.client.put(c)
}

// readHead reads STDOUT up to and with the empty line that ends the header.
// What follows it stays to be read.
func (b *Body) readHead() (string, error) {
	head := make([]byte, 0, 1024) // on the stack, as long as it is enough
	for {
		if err := b.nextContent(); err != nil {
			return "", err
		}
		if b.ended {
			return "", malformed("the answer ended within its header")
		}
		for b.left > 0 {
			part, err := b.peek()
			if err != nil {
				return "", err
			}
			if i := bytes.IndexByte(part, '\n'); i >= 0 {
				part = part[:i+1]
			}
			head = append(head, part...)
			b.discard(len(part))
			if endsHead(head) {
				return string(head), nil
			}
			if len(head) > maxHead {
				return "", malformed("a header of more than %d bytes", maxHead)
			}
		}
	}
}

// endsHead tells whether the last line of head is empty.
func endsHead(head []byte) bool {
	line, ok := bytes.CutSuffix(head, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return ok && (len(line) == 0 || line[len(line)-1] == '\n')
}

// peek returns what of the current record is in the buffer, at least one byte.
func (b *Body) peek() ([]byte, error) {
	if _, err := b.conn.br.Peek(1); err != nil {
		return nil, err
	}
	return b.conn.br.Peek(min(b.left, b.conn.br.Buffered()))
}

func (b *Body) discard(n int) {
	_, _ = b.conn.br.Discard(n) // only what was peeked
	b.left -= n
}

// takeBuffered copies a body that has arrived as a whole and frees the
// connection: the worker takes its next request while this answer is written to
// the client.
func (b *Body) takeBuffered() {
	size, ok := b.scanBuffered()
	if !ok {
		return
	}
	body := make([]byte, 0, size)
	for !b.ended && b.err == nil {
		part, _ := b.conn.br.Peek(b.left) // in the buffer, says scanBuffered
		body = append(body, part...)
		b.discard(len(part))
		b.advance()
	}
	b.buffered = body
}

// scanBuffered walks the records in the read buffer. It returns the size of the
// body in them, and whether the request ends there.
func (b *Body) scanBuffered() (size int, ok bool) {
	br := b.conn.br
	buf, _ := br.Peek(br.Buffered())
	if len(buf) < b.left+b.padding {
		return 0, false
	}
	size = b.left
	buf = buf[b.left+b.padding:]
	for len(buf) >= headerSize {
		rec, err := parseRecord(buf, b.conn.id)
		if err != nil {
			return 0, false
		}
		total := headerSize + rec.content + rec.padding
		switch {
		case len(buf) < total:
			return 0, false
		case rec.typ == typeEndRequest:
			return size, true
		case rec.typ == typeStdout:
			size += rec.content
		}
		buf = buf[total:]
	}
	return 0, false
}
