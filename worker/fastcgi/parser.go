package fastcgi

import "errors"

// parser takes apart what a worker sends on one connection, however it comes in pieces.
// Nothing else reads records. It is a value: a copy of it can look ahead.
type parser struct {
	id      byte   // of the request whose answer comes; managementID: none does
	greeted bool   // the answer to greet is yet to come
	skip    []byte // ids of requests that were taken back, which the worker is yet to pass over
	content int    // what is missing of the STDOUT record that has begun
	padding int    // that follows it
}

// part is some content of a STDOUT record, or the whole content of another record.
type part struct {
	typ     byte // 0: the data ends first
	content []byte
}

// next takes the next part off data. Where data ends first, rest is what is to be given
// once more, with what comes behind it. An error is the worker's, and stays.
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
		if data, short = p.passOver(data); short || len(data) < headerSize {
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

// header reads the header of a record that may come now.
func (p *parser) header(data []byte) (record, error) {
	r, err := parseRecord(data, p.id)
	// Some workers, as net/http/fcgi, end an answer to FCGI_GET_VALUES with an empty record,
	// like a stream. It may come within that to the first request.
	if r.typ == typeGetValuesResult && r.content > 0 && p.id != managementID && !p.greeted {
		return r, malformed("an answer to FCGI_GET_VALUES within a request")
	}
	return r, err
}

// whole takes what is left of an answer off data, if all of it is there and nothing but
// STDOUT comes with it. A content that comes in one piece is not copied.
func (p *parser) whole(data []byte) (content, rest []byte, err error) {
	for rest = data; ; {
		var found part
		found, rest, err = p.next(rest)
		switch {
		case err != nil:
			return nil, nil, err
		case found.typ == typeEndRequest:
			return content, rest, nil
		case found.typ == 0 && len(data) > 0 && len(rest)+p.content+p.padding == 0: // between two records
			return nil, nil, errPieces
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

// Why an answer is not taken as a whole.
var (
	errPart   = errors.New("a part of the answer is missing")
	errPieces = errors.New("the answer comes in pieces")
	errMore   = errors.New("more than an answer")
)

// passOver drops the word of the worker that it has passed over requests. short: data
// may end within it.
func (p *parser) passOver(data []byte) (rest []byte, short bool) {
	for len(p.skip) > 0 && len(data) > 0 {
		if len(data) < headerSize {
			return data, true
		}
		if data[1] != typeEndRequest || data[3] != p.skip[0] {
			return data, false
		}
		total := headerSize + endSize + int(data[6])
		if len(data) < total {
			return data, true
		}
		if data[headerSize+4] != overloaded {
			return data, false // no answer to what was taken back: a record that nobody knows
		}
		data, p.skip = data[total:], p.skip[1:]
	}
	return data, false
}

// between drops what may come between two answers. An error says that there is more.
func (p *parser) between(data []byte) (rest []byte, err error) {
	rest, short := p.passOver(data)
	if len(rest) > 0 && !short {
		return rest, malformed("%d bytes after END_REQUEST", len(rest))
	}
	return rest, nil
}

// ends tells whether nothing else comes in data. It is no step ahead.
func (p parser) ends(data []byte) bool {
	_, err := p.between(data)
	return err == nil
}
