package fastcgi

import (
	"bytes"
	"io"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// maxRest is the most that is kept of what was read: less than a record that ends an answer.
const maxRest = headerSize + endSize + 255

// maxPieces is how many pieces of an answer there is room for from one Receive to the next.
const maxPieces = 64

// Receive reads what has arrived into buf; see wire.InFlight.
//
// If it returns wire.ErrMustWait before the head, the caller recalls the followers of the
// request. If one cannot be recalled, the worker has begun it: then all of this answer is
// in the socket.
func (s *Sent) Receive(buf *wire.Buffer) (wire.Part, error) {
	if len(s.unsent) > 0 {
		return wire.Part{}, wire.ErrMustWait
	}
	c := s.conn
	if len(c.buffered) > 0 { // it may have been read behind the answer before
		if p, err := s.take(c.buffered, nil); !p.IsEmpty() || err != nil {
			return p, err
		}
	}
	in := buf.Take(c)
	have := copy(in, c.buffered)
	c.buffered, c.lent = in[:have], buf
	if have == len(in) {
		s.hasBuffered = true
		return wire.Part{}, wire.ErrMustWait
	}
	n, again, _ := c.bare.Read(in[have:])
	c.mayHaveMore = n == len(in)-have
	if again {
		s.hasBuffered = false
		return wire.Part{}, nil
	}
	var eof error
	if n == 0 {
		eof = io.ErrUnexpectedEOF
	}
	return s.take(in[:have+n], eof)
}

// take takes what data has of the answer, and keeps what follows that. ended is why no more
// comes after data.
func (s *Sent) take(data []byte, ended error) (p wire.Part, err error) {
	c := s.conn
	c.parser.id = s.id
	if s.begun {
		p, err = s.takeBody(data, ended)
	} else {
		p, err = s.takeHead(data, ended)
	}
	if cap(c.pieces) > maxPieces {
		c.pieces = nil // the connection lives long
	}
	s.hasBuffered = c.mayHaveMore || p.End && len(c.buffered) > 0 || err != nil
	if p.End || err == wire.ErrNotSimple {
		s.leaveLine(c) // last, since another goroutine may take c then
	}
	return p, err
}

// Vacate copies what is buffered out of the loop's buffer.
func (c *conn) Vacate() {
	if c.lent != nil {
		c.lent.Free()
		c.lent, c.buffered = nil, bytes.Clone(c.buffered)
	}
}

// takeHead takes the head of an answer, and what is here of its body. Before it has the
// head, it keeps all of data.
func (s *Sent) takeHead(data []byte, ended error) (p wire.Part, err error) {
	c := s.conn
	data, _ = c.parser.dropSkips(data)
	after := c.parser
	pieces, rest, end, err := after.contents(data, c.pieces[:0])
	c.pieces = pieces
	if err != nil {
		c.buffered = data
		return p, wire.ErrMustWait
	}
	head, body := cutHead(pieces)
	if head == nil {
		c.buffered = data
		if end || ended != nil || isOther(rest) {
			return p, wire.ErrMustWait
		}
		return p, nil
	}
	p = wire.Part{Body: body, End: end}
	bodiless, plain := false, false
	if p.Head, err = parseAnswer(head); err == nil {
		p.Length, plain = p.Head.Length()
		bodiless = s.head || wire.Bodiless(p.Head.Status)
		plain = plain && fits(&p, bodiless)
	}
	switch {
	case end && !plain && c.line > 1:
		s.moveToMemory(data[:len(data)-len(rest)])
		p, err = wire.Part{}, wire.ErrNotSimple
	case !plain, ended != nil, end && c.line == 1 && !after.ends(rest), !end && isOther(rest):
		c.buffered = data
		return wire.Part{}, wire.ErrMustWait
	case !end && bodiless: // the end is about to come
		c.buffered = data
		return wire.Part{}, nil
	}
	c.parser, s.begun = after, true
	c.buffered = rest
	return p, err
}

// fits reports whether the body of an answer may go on as it begins.
func fits(p *wire.Part, bodiless bool) bool {
	n := p.Size()
	switch {
	case bodiless:
		return n == 0
	case p.Length < 0:
		return true
	case p.End:
		return n == p.Length
	}
	return n <= p.Length
}

// isOther reports whether rest, what follows STDOUT records, is not the beginning of the
// end of an answer.
func isOther(rest []byte) bool { return len(rest) > maxRest }

// takeBody takes more of a body.
func (s *Sent) takeBody(data []byte, ended error) (p wire.Part, err error) {
	c := s.conn
	var rest []byte
	c.pieces, rest, p.End, err = c.parser.contents(data, c.pieces[:0])
	p.Body = c.pieces
	c.buffered = rest
	switch {
	case err == errMore, err == nil && !p.End && isOther(rest):
		return p, wire.ErrMustWait
	case err == nil && p.End && c.line == 1 && !c.parser.ends(rest):
		err, p.End = malformed("%d bytes after END_REQUEST", len(rest)), false
	case err == nil && !p.End:
		err = ended
	}
	s.broken = err
	return p, err
}

// contents splits the contents of STDOUT records off data, up to the end of the answer. The
// error errMore means that rest begins with a record of another kind.
func (p *parser) contents(data []byte, pieces [][]byte) (_ [][]byte, rest []byte, end bool, err error) {
	for {
		before := *p
		found, rest, err := p.next(data)
		switch {
		case err != nil || found.typ == 0:
			return pieces, rest, false, err
		case found.typ == typeEndRequest:
			return pieces, rest, true, nil
		case found.typ != typeStdout:
			*p = before
			return pieces, data, false, errMore
		case len(found.content) > 0:
			pieces = append(pieces, found.content)
		}
		data = rest
	}
}

// cutHead splits the head of an answer off pieces of it; nil: it is not complete. It
// copies the head only if that is in several pieces.
func cutHead(pieces [][]byte) (head []byte, body [][]byte) {
	if len(pieces) == 0 {
		return nil, nil
	}
	all := pieces[0]
	end := headEnd(all)
	if end < 0 && len(pieces) > 1 {
		all = bytes.Join(pieces, nil)
		end = headEnd(all)
	}
	if end < 0 {
		return nil, nil
	}
	left := end
	for len(pieces) > 0 && left >= len(pieces[0]) {
		left -= len(pieces[0])
		pieces = pieces[1:]
	}
	if len(pieces) > 0 {
		pieces[0] = pieces[0][left:]
	}
	return all[:end], pieces
}

// headEnd returns where the body begins; -1: the header does not end.
func headEnd(content []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			return -1
		}
		if i += n; endsHead(content[:i+1]) {
			return i + 1
		}
	}
}

// parseAnswer parses the head of a CGI answer. It leaves anything unusual to Await.
func parseAnswer(content []byte) (*wire.Answer, error) {
	head := string(content)
	a := &wire.Answer{Fields: make([][2]string, 0, strings.Count(head, "\n"))}
	var location []string
	status, err := eachField(head, func(name, value string) {
		if name == "Location" {
			location = append(location, value)
		}
		a.Fields = append(a.Fields, [2]string{name, value})
	})
	if err == nil {
		a.Status, status, err = statusOf(status, len(location) > 0 && location[0] != "")
		_, a.Reason, _ = strings.Cut(status, " ")
	}
	if err != nil {
		return nil, wire.ErrMustWait
	}
	return a, nil
}
