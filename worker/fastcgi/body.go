package fastcgi

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// maxHead bounds the header block of an answer.
const maxHead = 256 << 10

// Body is the body of an answer, read from the connection as it arrives. One goroutine at
// a time uses it.
type Body struct {
	conn     *conn     // owned by the Body until done or closed
	deadline time.Time // of the request; zero: none

	content []byte // parsed and not returned by Read yet
	done    bool   // END_REQUEST was read
	err     error  // the error that ended the reading; nil: there was none
	closed  bool   // Close was called
}

// Complete reports whether the whole answer has arrived: reading it does not wait, and
// the worker is free already.
func (b *Body) Complete() bool { return b.done }

// Read reads the body. If the worker ends without END_REQUEST, Read returns
// io.ErrUnexpectedEOF, never io.EOF.
func (b *Body) Read(p []byte) (int, error) {
	for len(b.content) == 0 {
		switch {
		case b.err != nil:
			return 0, b.err
		case b.done:
			return 0, io.EOF
		}
		if b.advance(); b.done {
			b.free()
		}
	}
	n := copy(p, b.content)
	b.content = b.content[n:]
	return n, nil
}

// Close gives the connection back. If the answer was not read to its end, Close closes the
// connection and waits until the worker has finished with the request.
func (b *Body) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	if b.done {
		return nil
	}
	b.conn.close()
	if b.err != nil {
		return b.err
	}
	return b.conn.client.reopen(b.deadline)
}

// advance waits for the next part of the answer: content of the body, a line of stderr, or
// the end of the request.
func (b *Body) advance() {
	found, err := b.conn.next()
	if err == nil {
		switch found.typ {
		case typeStdout:
			b.content = found.content
		case typeStderr:
			b.stderr(found.content)
		case typeGetValuesResult:
			b.conn.readGreeting(found.content)
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

// end is called when END_REQUEST was read. Nothing else may have arrived.
func (b *Body) end() (err error) {
	b.conn.buffered, err = b.conn.parser.between(b.conn.buffered)
	b.done = err == nil
	return err
}

// free gives the connection back, once all of the request body was sent.
func (b *Body) free() {
	c := b.conn
	if c.bodySent != nil {
		err := <-c.bodySent
		c.bodySent = nil
		if err != nil {
			c.close()
			return
		}
	}
	c.client.put(c)
}

// readHead reads STDOUT up to and including the empty line that ends the header. What
// follows is left for Read.
func (b *Body) readHead() (string, error) {
	head := make([]byte, 0, 1024) // on the stack, unless the header is larger
	for {
		switch b.advance(); {
		case b.err != nil:
			return "", b.err
		case b.done:
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

// takeWhole copies a body that has arrived completely and frees the connection, so that
// the worker gets its next request while this answer is written to the client.
func (b *Body) takeWhole() {
	after := b.conn.parser
	content, rest, err := after.whole(b.conn.buffered)
	if err != nil {
		return
	}
	b.content = append(append(make([]byte, 0, len(b.content)+len(content)), b.content...), content...)
	b.conn.parser, b.conn.buffered = after, rest
	if b.err = b.end(); b.done {
		b.free()
	}
}

// endsHead reports whether the last line of head is empty.
func endsHead(head []byte) bool {
	line, ok := bytes.CutSuffix(head, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return ok && (len(line) == 0 || line[len(line)-1] == '\n')
}
