package fastcgi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Record types of FastCGI 1.0, section 8.
const (
	typeBeginRequest    = 1
	typeAbortRequest    = 2
	typeEndRequest      = 3
	typeParams          = 4
	typeStdin           = 5
	typeStdout          = 6
	typeStderr          = 7
	typeGetValues       = 9
	typeGetValuesResult = 10
)

const (
	version    = 1
	headerSize = 8
	endSize    = 8     // content of an END_REQUEST record
	maxContent = 65528 // of one record; a multiple of 8, so it needs no padding
	roleResp   = 1
	keepConn   = 1

	managementID = 0 // of records that belong to no request
)

// ErrMalformed says that a worker does not speak FastCGI, or broke its rules.
var ErrMalformed = errors.New("malformed FastCGI answer")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// record is the header of one record.
type record struct {
	typ     byte
	content int // bytes
	padding int
}

// parseRecord reads a header of headerSize bytes. The record must belong to the answer to
// request id or to FCGI_GET_VALUES; if id is managementID, to the latter.
func parseRecord(h []byte, id byte) (record, error) {
	if h[0] != version {
		return record{}, malformed("version %d", h[0])
	}
	r := record{typ: h[1], content: int(binary.BigEndian.Uint16(h[4:])), padding: int(h[6])}
	switch {
	case r.typ == typeGetValuesResult:
		id = managementID
	case id == managementID:
		return record{}, malformed("record type %d in answer to FCGI_GET_VALUES", r.typ)
	}
	if got := binary.BigEndian.Uint16(h[2:]); got != uint16(id) {
		return record{}, malformed("record type %d for request %d, not %d", r.typ, got, id)
	}
	switch r.typ {
	case typeStdout, typeStderr, typeGetValuesResult:
		return r, nil
	case typeEndRequest:
		if r.content == endSize {
			return r, nil
		}
		return record{}, malformed("END_REQUEST of %d bytes", r.content)
	}
	return record{}, malformed("record type %d", r.typ)
}

// takeWhole splits the record off data, which begins with the record's header.
func (r record) takeWhole(data []byte) (found part, rest []byte, err error) {
	end := headerSize + r.content
	if len(data) < end+r.padding {
		return part{}, data, nil
	}
	content := data[headerSize:end]
	if r.typ == typeEndRequest && content[4] != 0 { // the protocol status (section 5.5)
		return part{}, data, malformed("request refused with protocol status %d", content[4])
	}
	return part{r.typ, content}, data[end+r.padding:], nil
}

// appendHeader appends the header of a record without padding.
func appendHeader(b []byte, typ, id byte, content int) []byte {
	return append(b, version, typ, 0, id, byte(content>>8), byte(content), 0, 0)
}

// appendStream appends content as records of a stream, without the record that ends it.
func appendStream(b []byte, typ, id byte, content []byte) []byte {
	for len(content) > 0 {
		n := min(len(content), maxContent)
		b = append(appendHeader(b, typ, id, n), content[:n]...)
		content = content[n:]
	}
	return b
}

func appendBegin(b []byte, id, flags byte) []byte {
	return append(appendHeader(b, typeBeginRequest, id, 8), 0, roleResp, keepConn|flags, 0, 0, 0, 0, 0)
}

// appendPair appends a name-value pair (section 3.4).
func appendPair(b []byte, name, value string) []byte {
	b = appendLength(b, len(name))
	b = appendLength(b, len(value))
	b = append(b, name...)
	return append(b, value...)
}

func appendLength(b []byte, n int) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}
