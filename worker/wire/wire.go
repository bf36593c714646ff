// Package wire has what the front door's fast loop and the runtimes pass to each other:
// the head of a request, a complete answer, and a connection to a worker as a bare
// descriptor. A Conn never waits for its peer; Sent says of its methods which do.
package wire

import (
	"net/http"
	"slices"
	"strconv"
)

// Head is a request, but for a body that is not in memory.
type Head struct {
	Method, URI, Path, Query, Proto string
	Host                            string // the Host header; "": the client sent none
	Scheme                          string
	RemoteAddr, RemotePort          string      // the visitor's
	Local                           string      // the address that the client connected to: used where Host is ""
	User                            string      // whose password the front door has checked; "": nobody's
	Length                          int64       // of the body; -1: unknown, CONTENT_LENGTH is not set
	Fields                          [][2]string // the header without Host and Content-Length, each name once
	Body                            []byte      // for Send: Length bytes
}

// Answer is a complete answer.
type Answer struct {
	Status int
	Reason string      // the worker's reason phrase; "": the standard one
	Fields [][2]string // the header, names in canonical form
	Body   []byte
}

// Part is what Receive has read of an answer. Body is a part of the buffer that it was
// read into, and valid until that is used again.
type Part struct {
	Head   *Answer  // without a body; nil: it was in a part before, or has not arrived yet
	Length int64    // of the whole body, as Head says; -1: it does not say
	Body   [][]byte // what comes next of the body
	End    bool     // the answer ends with it
}

// IsEmpty reports whether nothing was read.
func (p *Part) IsEmpty() bool { return p.Head == nil && len(p.Body) == 0 && !p.End }

// Size returns the length of p.Body.
func (p *Part) Size() (n int64) {
	for _, piece := range p.Body {
		n += int64(len(piece))
	}
	return n
}

// Length returns the Content-Length; -1: there is none. plain reports whether the answer
// can be sent to the client as it is: no header concerns the connection or the front door,
// and the length is a single number.
func (a *Answer) Length() (length int64, plain bool) {
	length = -1
	for _, f := range a.Fields {
		switch {
		case slices.Contains(HopHeaders, f[0]), slices.Contains(ServerHeaders, f[0]):
			return -1, false
		case f[0] == "Content-Length":
			n, err := strconv.ParseUint(f[1], 10, 63)
			if err != nil || length >= 0 {
				return -1, false
			}
			length = int64(n)
		}
	}
	return length, true
}

// Bodiless reports whether an answer with this status never has a body (RFC 9110,
// section 6.4.1).
func Bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
