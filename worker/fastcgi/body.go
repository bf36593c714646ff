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

	content []byte // read already, before what the connection holds
	ended   bool   // END_REQUEST was read
	err     error
	closed  bool
}

// Complete tells that the whole answer is here: reading it does not wait, and
// the worker is already free.
func (b *Body) Complete() bool { return b.ended }

// Read reads the body. A worker that ends without END_REQUEST is
// io.ErrUnexpectedEOF, never a clean end.
func (b *Body) Read(p []byte) (int, error) {
	for len(b.content) == 0 {
		switch {
		case b.err != nil:
			return 0, b.err
		case b.ended:
			return 0, io.EOF
		}
		if b.advance(); b.ended {
			b.free()
		}
	}
	n := copy(p, b.content)
	b.content = b.content[n:]
	return n, nil
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

// advance waits for the next content of the body, or the end of the request.
func (b *Body) advance() {
	found, err := b.conn.next()
	if err == nil {
		switch found.typ {
		case typeStdout:
			b.content = found.content
		case typeStderr:
			b.stderr(found.content)
		case typeGetValuesResult:
			b.conn.welcomed(found.content)
		case typeEndRequest:
			err = b.end()
		}
	}
	b.err = connError(err)
}

func (b *Body) stderr(text []byte) {
	for line := range strings.Lines(string(text)) {
		b.conn.client.opts.Stderr(strings.TrimRight(line, "\r\n"))
	}
}

// end is called when END_REQUEST was read. Nothing else may have come.
func (b *Body) end() (err error) {
	b.conn.got, err = b.conn.parser.between(b.conn.got)
	b.ended = err == nil
	return err
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
		switch b.advance(); {
		case b.err != nil:
			return "", b.err
		case b.ended:
			return "", malformed("the answer ended within its header")
		}
		for len(b.content) > 0 {
			line := b.content
			if i := bytes.IndexByte(line, '\n'); i >= 0 {
				line = line[:i+1]
			}
			head = append(head, line...)
			b.content = b.content[len(line):]
			if endsHead(head) {
				return string(head), nil
			}
			if len(head) > maxHead {
				return "", malformed("a header of more than %d bytes", maxHead)
			}
		}
	}
}

// takeWhole copies a body that has arrived as a whole and frees the connection: the
// worker takes its next request while this answer is written to the client.
func (b *Body) takeWhole() {
	ahead := b.conn.parser
	content, rest, err := ahead.whole(b.conn.got)
	if err != nil {
		return
	}
	b.content = append(append(make([]byte, 0, len(b.content)+len(content)), b.content...), content...)
	b.conn.parser, b.conn.got = ahead, rest
	if b.err = b.end(); b.ended {
		b.free()
	}
}

// endsHead tells whether the last line of head is empty.
func endsHead(head []byte) bool {
	line, ok := bytes.CutSuffix(head, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return ok && (len(line) == 0 || line[len(line)-1] == '\n')
}
