package fastcgi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

type answerTest struct {
	name   string
	method string // GET when empty
	wire   string
	status int
	header http.Header
	length int64
	body   string
	stderr []string
}

func answerTests() []answerTest {
	text := http.Header{"Content-Type": {"text/plain"}}
	return []answerTest{
		{
			name:   "plain",
			wire:   answer(1, "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nhello"),
			status: 404, header: text, length: -1, body: "hello",
		}, {
			name:   "lines end with LF",
			wire:   answer(1, "Status: 404\nContent-Type: text/plain\n\nhello\r\n\r\n"),
			status: 404, header: text, length: -1, body: "hello\r\n\r\n",
		}, {
			name:   "mixed line ends",
			wire:   answer(1, "content-type:text/plain \n\r\n\nhello"),
			status: 200, header: text, length: -1, body: "\nhello",
		}, {
			name:   "no header at all",
			wire:   answer(1, "\r\nhello"),
			status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name:   "location only",
			wire:   answer(1, "Location: /there\n\n"),
			status: 302, header: http.Header{"Location": {"/there"}}, length: -1,
		}, {
			name:   "location with status",
			wire:   answer(1, "location: /there\nstatus: 201 Created\n\n"),
			status: 201, header: http.Header{"Location": {"/there"}}, length: -1,
		}, {
			name:   "repeated headers keep their order",
			wire:   answer(1, "Set-Cookie: a=1\nVary: x\nset-cookie: b=2\n\n"),
			status: 200, header: http.Header{"Set-Cookie": {"a=1", "b=2"}, "Vary": {"x"}}, length: -1,
		}, {
			name:   "latin-1 and empty values",
			wire:   answer(1, "X-Name: Andr\xe9\nX-Empty:\n\n"),
			status: 200, header: http.Header{"X-Name": {"Andr\xe9"}, "X-Empty": {""}}, length: -1,
		}, {
			name:   "content length",
			wire:   answer(1, "Content-Length: 5\n\nhello"),
			status: 200, header: http.Header{"Content-Length": {"5"}}, length: 5, body: "hello",
		}, {
			name:   "content length twice the same",
			wire:   answer(1, "Content-Length: 5\nContent-Length: 5\n\nhello"),
			status: 200, header: http.Header{"Content-Length": {"5"}}, length: 5, body: "hello",
		}, {
			name:   "content lengths that differ",
			wire:   answer(1, "Content-Length: 5\nContent-Length: 5\nContent-Length: 6\n\nhello"),
			status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name:   "text as content length",
			wire:   answer(1, "Content-Length: five\n\nhello"),
			status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name:   "signed content length",
			wire:   answer(1, "Content-Length: +5\n\nhello"),
			status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name:   "empty body",
			wire:   answer(1, "Content-Type: text/plain\n\n"),
			status: 200, header: text, length: -1,
		}, {
			name: "HEAD", method: "HEAD",
			wire:   answer(1, "Content-Length: 1000\n\n"),
			status: 200, header: http.Header{"Content-Length": {"1000"}}, length: 1000,
		}, {
			name: "no end of STDOUT",
			wire: stdout(1, "\nhello") + end(1), status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name: "padding everywhere",
			wire: rec(typeStdout, 1, "Content-Type: te", 255) + rec(typeStdout, 1, "", 8) +
				rec(typeStderr, 1, "note\n", 3) + rec(typeStdout, 1, "xt/plain\n\nhe", 1) +
				rec(typeStdout, 1, "llo", 7) + rec(typeStdout, 1, "", 2) + rec(typeEndRequest, 1, "\x00\x00\x00\x07\x00PPP", 255),
			status: 200, header: text, length: -1, body: "hello", stderr: []string{"note"},
		}, {
			name: "STDERR before, in and after",
			wire: rec(typeStderr, 1, "one\r\ntwo", 0) + stdout(1, "Content-Type: ") + rec(typeStderr, 1, "three\n", 0) +
				stdout(1, "text/plain\n\nhel") + rec(typeStderr, 1, "four", 0) + stdout(1, "lo") + stdout(1, "") +
				rec(typeStderr, 1, "five\n\nsix\n", 0) + rec(typeStderr, 1, "", 0) + end(1),
			status: 200, header: text, length: -1, body: "hello",
			stderr: []string{"one", "two", "three", "four", "five", "", "six"},
		}, {
			name: "one byte per record",
			wire: func() (wire string) {
				for _, c := range "Content-Type: text/plain\r\n\r\nhello" {
					wire += stdout(1, string(c))
				}
				return wire + end(1)
			}(),
			status: 200, header: text, length: -1, body: "hello",
		}, {
			name: "late end of the answer to a probe",
			wire: rec(typeGetValuesResult, 0, "", 8) + stdout(1, "\nhel") + rec(typeGetValuesResult, 0, "", 0) +
				stdout(1, "lo") + end(1),
			status: 200, header: http.Header{}, length: -1, body: "hello",
		}, {
			name:   "a header of 200 KB",
			wire:   strings.Repeat(stdout(1, "X-Long: "+strings.Repeat("v", 49991)+"\n"), 4) + stdout(1, "\nhello") + end(1),
			status: 200, length: -1, body: "hello",
			header: http.Header{"X-Long": slicesRepeat(strings.Repeat("v", 49991), 4)},
		}, {
			name:   "a body of three full records",
			wire:   stdout(1, "\n") + strings.Repeat(rec(typeStdout, 1, strings.Repeat("x", 65535), 1), 3) + end(1),
			status: 200, header: http.Header{}, length: -1, body: strings.Repeat("x", 3*65535),
		},
	}
}

func slicesRepeat(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestRoundTrip_ReadsAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range answerTests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stderr []string
			c := startWorker(t, Options{Stderr: func(line string) { stderr = append(stderr, line) }}, func(p *peer) {
				if _, ok := p.request(); ok {
					p.send(test.wire)
				}
				p.waitGone()
			})
			test.check(t, c, &stderr)
			if n := idle(c); n != 1 {
				t.Errorf("got %d idle connections afterwards, want 1", n)
			}
		})
	}
}

// TestRoundTrip_ReadsAnswersInPieces cuts each answer at every byte, a large one
// at 50 places.
func TestRoundTrip_ReadsAnswersInPieces(t *testing.T) {
	t.Parallel()
	for _, test := range answerTests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			step := 1
			if len(test.wire) > 4000 {
				step = len(test.wire) / 50
			}
			for i := 0; i <= len(test.wire); i += step {
				test.checkPieces(t, test.wire[:i], test.wire[i:])
			}
			if step == 1 {
				test.checkPieces(t, strings.Split(test.wire, "")...)
			}
		})
	}
}

// TestRoundTrip_ReadsSplitHeader cuts the header into two records at every byte.
func TestRoundTrip_ReadsSplitHeader(t *testing.T) {
	t.Parallel()
	for _, newline := range []string{"\n", "\r\n"} {
		content := strings.ReplaceAll("Status: 404 Not Found\nContent-Type: text/plain\n\nhello", "\n", newline)
		for i := range len(content) + 1 {
			answerTest{
				wire:   rec(typeStdout, 1, content[:i], i%8) + stdout(1, content[i:]) + end(1),
				status: 404, header: http.Header{"Content-Type": {"text/plain"}}, length: -1, body: "hello",
			}.checkPieces(t)
		}
	}
}

func (test answerTest) checkPieces(t *testing.T, pieces ...string) {
	t.Helper()
	if len(pieces) == 0 {
		pieces = []string{test.wire}
	}
	var stderr []string
	c := NewClient(Options{Stderr: func(line string) { stderr = append(stderr, line) }})
	c.put(newConn(c, &scripted{pieces: pieces}))
	test.check(t, c, &stderr)
	if t.Failed() {
		t.Fatalf("in %d pieces, the first of %d bytes", len(pieces), len(pieces[0]))
	}
}

func (test answerTest) check(t *testing.T, c *Client, stderr *[]string) {
	t.Helper()
	method := test.method
	if method == "" {
		method = "GET"
	}
	resp, body, err := fetch(c, newRequest(t, method, "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != test.status || !strings.HasPrefix(resp.Status, fmt.Sprint(test.status)) {
		t.Errorf("got status %d %q, want %d", resp.StatusCode, resp.Status, test.status)
	}
	if !reflect.DeepEqual(resp.Header, test.header) {
		t.Errorf("got header %v, want %v", resp.Header, test.header)
	}
	if resp.ContentLength != test.length {
		t.Errorf("got length %d, want %d", resp.ContentLength, test.length)
	}
	if body != test.body {
		t.Errorf("got body %.60q, want %.60q", body, test.body)
	}
	if !reflect.DeepEqual(*stderr, test.stderr) {
		t.Errorf("got stderr %q, want %q", *stderr, test.stderr)
	}
}

// scripted is a connection on which each Read returns the next piece, and then
// the worker is gone.
type scripted struct {
	net.Conn
	pieces []string
	closed bool
}

func (s *scripted) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)   { return len(p), nil }
func (s *scripted) SetDeadline(t time.Time) error { return nil }
func (s *scripted) Close() error                  { s.closed = true; return nil }
