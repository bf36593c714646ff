package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// answer reads one answer as it comes, and compares its body with the right one. The zero
// value with want begins.
type answer struct {
	want   []byte // the whole body
	closes bool   // the server closes the connection after it

	part answerPart
	line []byte // the head or a line that has not come as a whole
	got  int    // bytes of the body
	left int    // bytes that the body or the chunk still has
}

type answerPart int

const (
	inHead answerPart = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
)

var errMoreThanAnswer = errors.New("more bytes than one answer")

// reset prepares for the next answer, which has the same body.
func (a *answer) reset() { *a = answer{want: a.want, line: a.line[:0]} }

// feed takes what came next, and reports whether the answer is whole.
func (a *answer) feed(p []byte) (done bool, err error) {
	for !done && err == nil {
		if len(p) == 0 && (a.part != inBody || a.left > 0) {
			return false, nil
		}
		p, done, err = a.step(p)
	}
	if err == nil && len(p) > 0 {
		err = errMoreThanAnswer
	}
	return done, err
}

// step takes one part and returns what comes after it.
func (a *answer) step(p []byte) (rest []byte, done bool, err error) {
	switch a.part {
	case inHead:
		head, rest, whole := a.until(p, "\r\n\r\n")
		if whole {
			err = a.readHead(string(head))
		}
		return rest, false, err
	case inBody, inChunk:
		n := min(len(p), a.left)
		if err := a.compare(p[:n]); err != nil || a.left > 0 {
			return p[n:], false, err
		}
		if a.part == inBody {
			return p[n:], true, a.complete()
		}
		a.part = inChunkEnd
		return p[n:], false, nil
	case inChunkSize:
		line, rest, whole := a.until(p, "\r\n")
		if whole {
			err = a.readChunkSize(string(line))
		}
		return rest, false, err
	case inChunkEnd:
		line, rest, whole := a.until(p, "\r\n")
		if whole && len(line) > 0 {
			err = fmt.Errorf("%q after a chunk", line)
		}
		if whole {
			a.part, a.line = inChunkSize, a.line[:0]
		}
		return rest, false, err
	default:
		line, rest, whole := a.until(p, "\r\n")
		if whole && len(line) > 0 {
			err = fmt.Errorf("trailer %q", line)
		}
		if whole && err == nil {
			return rest, true, a.complete()
		}
		return rest, false, err
	}
}

// until returns what comes before end. If end has not come, it keeps what has.
func (a *answer) until(p []byte, end string) (before, rest []byte, whole bool) {
	if len(a.line) == 0 { // the usual case copies nothing
		if before, rest, whole = bytes.Cut(p, []byte(end)); whole {
			return before, rest, true
		}
	}
	had := len(a.line)
	a.line = append(a.line, p...)
	before, _, whole = bytes.Cut(a.line, []byte(end))
	if !whole {
		return nil, nil, false
	}
	return before, p[len(before)+len(end)-had:], true
}

func (a *answer) readHead(head string) error {
	a.part, a.left, a.line = inBody, -1, a.line[:0]
	status, lines, _ := strings.Cut(head, "\r\n")
	if len(status) < 12 || status[9:12] != "200" {
		return fmt.Errorf("%.300q", head)
	}
	for line := range strings.SplitSeq(lines, "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case strings.EqualFold(name, "Content-Length"):
			n, err := strconv.Atoi(value)
			if err != nil {
				return err
			}
			a.left = n
		case strings.EqualFold(name, "Transfer-Encoding"):
			a.part, a.left = inChunkSize, 0
		case strings.EqualFold(name, "Connection"):
			a.closes = strings.EqualFold(value, "close")
		}
	}
	if a.left < 0 {
		return fmt.Errorf("neither a length nor chunks: %.300q", head)
	}
	return nil
}

func (a *answer) readChunkSize(line string) error {
	a.line = a.line[:0]
	n, err := strconv.ParseUint(line, 16, 31)
	if err != nil {
		return err
	}
	a.left, a.part = int(n), inChunk
	if n == 0 {
		a.part = inTrailer
	}
	return nil
}

// compare takes bytes of the body.
func (a *answer) compare(p []byte) error {
	if a.got+len(p) > len(a.want) || !bytes.Equal(p, a.want[a.got:a.got+len(p)]) {
		return fmt.Errorf("a wrong body from byte %d on: %.200q", a.got, p)
	}
	a.got += len(p)
	a.left -= len(p)
	return nil
}

func (a *answer) complete() error {
	if a.got != len(a.want) {
		return fmt.Errorf("%d bytes of %d", a.got, len(a.want))
	}
	return nil
}
