// Package wire is what the front door's loop and the runtimes pass to each other
// when nobody waits: the head of a request, a whole answer, and a connection to a
// worker as a bare descriptor.
package wire

import (
	"net/http"
	"slices"
	"strconv"
)

// Head is a request without its body.
type Head struct {
	Method, URI, Path, Query, Proto string
	Host                            string // as the client named it; "": it did not
	Scheme                          string
	RemoteAddr, RemotePort          string
	Local                           string      // where the client connected to: stands in for no Host
	Length                          int64       // of the body; -1: CONTENT_LENGTH is not told
	Fields                          [][2]string // the header, without Host, Content-Length and repetitions
}

// Answer is a whole answer. Its Body is valid until the buffer that it was read
// into is used again.
type Answer struct {
	Status int
	Reason string      // that the worker gave; "": the standard's
	Fields [][2]string // the header, names in canonical form
	Body   []byte
}

// Plain tells whether an answer can go to a client as it is: nothing in it concerns
// the connection or the server, and its length is what it says. head: the request was HEAD.
func (a *Answer) Plain(head bool) bool {
	length := -1
	for _, f := range a.Fields {
		switch {
		case slices.Contains(HopHeaders, f[0]), slices.Contains(ServerHeaders, f[0]):
			return false
		case f[0] == "Content-Length":
			n, err := strconv.ParseUint(f[1], 10, 31)
			if err != nil || length >= 0 {
				return false
			}
			length = int(n)
		}
	}
	if head || Bodiless(a.Status) {
		return len(a.Body) == 0
	}
	return length < 0 || length == len(a.Body)
}

// Bodiless tells whether an answer of this status never has a body (RFC 9110,
// section 6.4.1).
func Bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
