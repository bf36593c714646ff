package fastcgi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

const (
	readBuffer = 32 << 10
	// firstWrite is the largest request that is sent in one write. It must fit into an
	// empty socket buffer, because nobody reads the answer meanwhile.
	firstWrite = 64 << 10
	keepBuffer = 128 << 10 // a larger write buffer is not kept
)

// stream is a connection that can be waited on.
type stream interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

// conn is one connection to a worker; the package comment names its states. It belongs to
// one goroutine at a time: to the one that has taken it from Client.idle, or to the fast
// loop for as long as it has a line. Each request has another id than the one before, so
// that a late record of that one is noticed.
type conn struct {
	client *Client // which counts the connection until close

	bare     *wire.Conn // the socket; nil: nc is all there is
	nc       stream     // a copy of the socket for a goroutine that waits; nil: nobody waits
	buf      []byte     // of client.buffers, for what is read from nc; nil: not needed yet
	out      []byte     // write buffer: the last request, until the next one is made
	id       byte       // of the last request that was sent
	bodySent chan error // result of the goroutine that sends the rest of a request; nil: there is none

	// These hold what was read. Only parser takes records apart.
	parser      parser
	buffered    []byte       // read and not parsed yet
	lent        *wire.Buffer // the loop's, where buffered is; nil: it is elsewhere
	pieces      [][]byte     // of the last Receive
	mayHaveMore bool         // the last read filled its buffer: the socket may hold more

	memory    bool   // the connection consists of one answer in buffered, and is not used again
	noReuse   bool   // it gets no further request, and is closed when its line is done
	tokens    tokens // shared with the worker; 0: none
	followers bool   // the worker accepts followers
	line      int    // requests of the line that are not answered yet
}

// newConn returns a connection that has only nc yet.
func newConn(c *Client, nc stream) *conn { return &conn{client: c, nc: nc} }

// startWaiting makes nc, for a goroutine that is going to wait.
func (c *conn) startWaiting() error {
	if c.nc != nil {
		return nil
	}
	nc, err := c.bare.Wait()
	if err == nil {
		c.nc = nc
	}
	return err
}

// stopWaiting gives up nc, between two requests. What was read and not parsed is kept.
func (c *conn) stopWaiting() {
	c.buffered = bytes.Clone(c.buffered)
	if c.buf != nil {
		c.client.buffers.Put((*[readBuffer]byte)(c.buf))
		c.buf = nil
	}
	if c.bare != nil && c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

// next waits for the next part of what the worker sends. Its content is valid until next
// is called again.
func (c *conn) next() (part, error) {
	for {
		found, rest, err := c.parser.next(c.buffered)
		c.buffered = rest
		if err != nil || found.typ != 0 {
			return found, err
		}
		if err := c.fill(); err != nil {
			return part{}, err
		}
	}
}

// fill waits until there is more to read.
func (c *conn) fill() error {
	if c.buf == nil {
		c.buf = c.client.buffers.Get().(*[readBuffer]byte)[:]
	}
	into := c.buf
	if len(c.buffered) >= len(into) { // a record that is larger than the buffer
		into = make([]byte, 2*len(c.buffered))
	}
	have := copy(into, c.buffered)
	n, err := c.nc.Read(into[have:])
	c.buffered = into[:have+n]
	if n > 0 {
		return nil
	}
	return err
}

// close closes the connection and waits for the goroutine that still sends on it: the
// request body belongs to the caller again.
func (c *conn) close() {
	c.client.forget(c)
	if c.nc != nil {
		c.nc.Close()
	}
	if c.bare != nil {
		c.bare.Close()
	}
	if c.tokens > 0 {
		c.tokens.close()
		c.tokens, c.followers = 0, false
	}
	if c.bodySent != nil {
		<-c.bodySent
		c.bodySent = nil
	}
}

// probe waits for the answer to the greeting, or asks for FCGI_MAX_REQS if there was no
// greeting. Any well-formed answer will do.
func (c *conn) probe() error {
	if !c.parser.greeting {
		content := appendPair(nil, "FCGI_MAX_REQS", "")
		b := append(appendHeader(nil, typeGetValues, managementID, len(content)), content...)
		if _, err := c.nc.Write(b); err != nil {
			return err
		}
	}
	for {
		found, err := c.next()
		if err != nil {
			return err
		}
		c.readGreeting(found.content)
		if len(c.buffered) == 0 {
			return nil
		}
	}
}

func (c *conn) roundTrip(r *http.Request, deadline time.Time) (*http.Response, error) {
	if err := c.startWaiting(); err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	_ = c.nc.SetDeadline(deadline)
	if err := c.send(r); err != nil {
		return nil, err
	}
	return c.receive(r, c.id, deadline)
}

// receive waits until the header of the answer to request id has arrived.
func (c *conn) receive(r *http.Request, id byte, deadline time.Time) (*http.Response, error) {
	c.parser.id = id
	body := &Body{conn: c, deadline: deadline}
	head, err := body.readHead()
	if err != nil {
		return nil, err
	}
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1, Body: body}
	if err := parseHead(resp, head); err != nil {
		return nil, err
	}
	body.takeWhole()
	return resp, nil
}

// send writes the request. A small body is part of the first write. A larger one is sent
// by a goroutine: a worker may write its answer before it has read everything, and then
// both sides would block each other.
func (c *conn) send(r *http.Request) error {
	b := c.appendRequest(headOf(r), 0)
	rest := r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
	if rest && r.ContentLength > 0 && int64(len(b))+r.ContentLength+2*headerSize <= firstWrite {
		var err error
		if b, err = c.appendBody(b, r.Body, int(r.ContentLength)); err != nil {
			return fmt.Errorf("%w: read request body: %w", wire.ErrNotSent, err)
		}
		rest = false
	}
	if !rest {
		b = appendHeader(b, typeStdin, c.id, 0)
	}
	n, err := c.nc.Write(b)
	if err != nil && n == 0 {
		return fmt.Errorf("%w: %w", wire.ErrNotSent, err)
	}
	if c.out = b; cap(b) > keepBuffer {
		c.out = nil
	}
	if err != nil {
		return err
	}
	if rest {
		c.bodySent = make(chan error, 1)
		go c.sendBody(r.Body, c.bodySent)
	}
	return nil
}

// appendRequest returns the beginning of the next request, in the write buffer.
func (c *conn) appendRequest(h *wire.Head, flags byte) []byte {
	c.id = c.id%255 + 1
	return c.appendParamRecords(appendBegin(c.out[:0], c.id, flags), h)
}

// appendParamRecords appends the PARAMS stream, which is nearly always one record.
func (c *conn) appendParamRecords(b []byte, h *wire.Head) []byte {
	start := len(b)
	b = appendHeader(b, typeParams, c.id, 0)
	b = c.appendParams(b, h)
	n := len(b) - start - headerSize
	if n <= maxContent {
		b[start+4], b[start+5] = byte(n>>8), byte(n)
		return appendHeader(b, typeParams, c.id, 0)
	}
	content := append([]byte(nil), b[start+headerSize:]...)
	return appendHeader(appendStream(b[:start], typeParams, c.id, content), typeParams, c.id, 0)
}

func (c *conn) appendParams(b []byte, h *wire.Head) []byte {
	o := &c.client.opts
	if o.Packed {
		if packed, ok := appendPacked(b, h, o.ScriptName); ok {
			return packed
		}
	}
	return appendParams(append(b, c.client.params...), h, o.ScriptName)
}

// appendBody appends a body of n bytes as one STDIN record.
func (c *conn) appendBody(b []byte, body io.Reader, n int) ([]byte, error) {
	b = appendHeader(b, typeStdin, c.id, n)
	start := len(b)
	b = append(b, make([]byte, n)...)
	_, err := io.ReadFull(body, b[start:])
	return b, err
}

// sendRest sends what is left of a request, for the same reason in a goroutine.
func (c *conn) sendRest(rest []byte) {
	if len(rest) == 0 {
		return
	}
	nc, sent := c.nc, make(chan error, 1)
	c.bodySent = sent
	go func() {
		_, err := nc.Write(rest)
		sent <- err
	}()
}

// sendBody sends body as the STDIN stream. The worker reads what its application leaves
// unread, so this ends with the request or its deadline.
func (c *conn) sendBody(body io.Reader, sent chan<- error) {
	buf := make([]byte, headerSize+32<<10)
	for {
		n, err := io.ReadFull(body, buf[headerSize:])
		if n > 0 {
			appendHeader(buf[:0], typeStdin, c.id, n)
			if _, err := c.nc.Write(buf[:headerSize+n]); err != nil {
				sent <- err
				return
			}
		}
		switch err {
		case nil:
			continue
		case io.EOF, io.ErrUnexpectedEOF:
			_, err = c.nc.Write(appendHeader(buf[:0], typeStdin, c.id, 0))
		default:
			_, _ = c.nc.Write(appendHeader(buf[:0], typeAbortRequest, c.id, 0)) // if that fails: the connection is closed anyway
		}
		sent <- err
		return
	}
}
