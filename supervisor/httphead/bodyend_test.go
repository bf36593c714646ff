package httphead

import (
	"slices"
	"strings"
	"testing"
)

// TestBodyEnd_InPieces: the end is the same whatever the size of the pieces in which a
// body arrives.
func TestBodyEnd_InPieces(t *testing.T) {
	t.Parallel()
	for _, k := range []struct{ head, body string }{
		{"", ""},
		{"Content-Length: 0\r\n", ""},
		{"Content-Length: 20\r\n", "\r\n\r\nGET / HTTP/1.1\r\n"},
		{"Content-Length: 9000\r\n", strings.Repeat("\r\n0\r\n\r\n\r\n", 1000)},
		{"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "1\r\nx\r\n000A;a=b;c=\"d\"\r\n0\r\n\r\nGET /\r\n0\r\n\r\n"},
		{"Transfer-Encoding: Chunked\r\nTrailer: X-A\r\n", "2 \r\n\r\n\r\n00\r\nX-A: b\r\nX-B: \r\n\r\n"},
	} {
		for size := 1; size <= len(k.body)+3; size = size*5/4 + 1 {
			end, err := Read("POST / HTTP/1.1\r\nHost: a\r\n" + k.head + "\r\n")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for piece := range slices.Chunk([]byte(k.body+"GET"), size) {
				taken, err := end.Take(piece)
				if n += taken; err != nil || taken < len(piece) && !end.Found() {
					t.Fatalf("%q in pieces of %d: malformed (%v)", k.body, size, err)
				}
			}
			if n != len(k.body) {
				t.Errorf("%q in pieces of %d: it ends after %d bytes", k.body, size, n)
			}
		}
	}
}
