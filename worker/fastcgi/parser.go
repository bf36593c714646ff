package fastcgi

import "errors"

// parser splits what a worker sends on one connection into records, in whatever pieces it
// arrives. Nothing else reads records. A parser is a value: a copy can read ahead without
// changing the original.
type parser struct {
	id       byte   // of the request whose answer comes next; managementID: there is no request
	greeting bool   // the answer to the greeting has not been read yet
	recalled []byte // ids of the recalled requests whose skip records have not been read yet, in order
	content  int    // bytes missing of the STDOUT record that has begun
	padding  int    // bytes of padding that follow them
}

// part is some content of a STDOUT record, or the complete content of another record.
type part struct {
	typ     byte   // 0: there is no part, since the data ends first
	content []byte // shares memory with the data
}

// next splits the next part off data. If data ends before that, the caller passes rest
// again together with what follows it. An error means that the worker broke the protocol;
// the connection is of no more use.
func (p *parser) next(data []byte) (found part, rest []byte, err error) {
	for {
		if n := min(p.content, len(data)); n > 0 {
			p.content -= n
			return part{typeStdout, data[:n:n]}, data[n:], nil
		}
		n := min(p.padding, len(data))
		if p.padding, data = p.padding-n, data[n:]; p.content > 0 || p.padding > 0 {
			return part{}, data, nil
		}
		var short bool
		if data, short = p.dropSkips(data); short || len(data) < headerSize {
			return part{}, data, nil
		}
		r, err := p.header(data)
		if err != nil {
			return part{}, data, err
		}
		if r.typ == typeStdout {
			p.content, p.padding, data = r.content, r.padding, data[headerSize:]
			continue
		}
		return r.takeWhole(data)
	}
}

// header reads the header of a record and checks that it may come now.
func (p *parser) header(data []byte) (record, error) {
	r, err := parseRecord(data, p.id)
	// Some workers, such as net/http/fcgi, end the answer to FCGI_GET_VALUES with an empty
	// record, like a stream. That record may arrive within the answer to the first request.
	if r.typ == typeGetValuesResult && r.content > 0 && p.id != managementID && !p.greeting {
		return r, malformed("an answer to FCGI_GET_VALUES within a request")
	}
	return r, err
}

// whole splits the rest of an answer off data, if all of it is there and consists of STDOUT
// records alone. Content in one piece is not copied.
func (p *parser) whole(data []byte) (content, rest []byte, err error) {
	for rest = data; ; {
		var found part
		found, rest, err = p.next(rest)
		switch {
		case err != nil:
			return nil, nil, err
		case found.typ == typeEndRequest:
			return content, rest, nil
		case found.typ == 0:
			return nil, nil, errPart
		case found.typ != typeStdout:
			return nil, nil, errMore
		case content == nil:
			content = found.content
		default:
			content = append(content, found.content...)
		}
	}
}

// Reasons of parser.whole.
var (
	errPart = errors.New("a part of the answer is missing")
	errMore = errors.New("more than an answer")
)

// dropSkips drops the skip records that data begins with. short reports that data ends
// within what may be one.
func (p *parser) dropSkips(data []byte) (rest []byte, short bool) {
	for len(p.recalled) > 0 && len(data) > 0 {
		if len(data) < headerSize {
			return data, true
		}
		if data[1] != typeEndRequest || data[3] != p.recalled[0] {
			return data, false
		}
		total := headerSize + endSize + int(data[6])
		if len(data) < total {
			return data, true
		}
		if data[headerSize+4] != statusSkipped {
			return data, false // the worker has run a recalled request: malformed
		}
		data, p.recalled = data[total:], p.recalled[1:]
	}
	return data, false
}

// between drops what may come between two answers, and fails if there is more.
func (p *parser) between(data []byte) (rest []byte, err error) {
	rest, short := p.dropSkips(data)
	if len(rest) > 0 && !short {
		return rest, malformed("%d bytes after END_REQUEST", len(rest))
	}
	return rest, nil
}

// ends reports whether data has nothing but what may come between two answers. It does not
// change the parser.
func (p parser) ends(data []byte) bool {
	_, err := p.between(data)
	return err == nil
}
