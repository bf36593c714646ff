package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// closeFails is a body whose worker is not free again at the end.
type closeFails struct {
	io.Reader
	err error
}

func (c closeFails) Close() error { return c.err }

// dying returns a reader that reads text and then dies.
func dying(text string, err error) io.Reader {
	return io.MultiReader(strings.NewReader(text), errReader{err})
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// TestProxy_CutsWhatIsNotWhole: no client may take a part for the whole.
func TestProxy_CutsWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3<<20)
	tests := []struct {
		name, text string
		err        error // of the last Read
		closeErr   error
		length     string // Content-Length
		end        string
	}{
		{name: "died before the first byte of the body", err: errDied, end: "failed"},
		{name: "died", text: "hello", err: errDied, end: "failed"},
		{name: "died late", text: large, err: errDied, end: "failed"},
		{name: "died, with a length", text: "hello", err: errDied, length: "10", end: "failed"},
		{name: "died late, with a length", text: large, err: errDied, length: "3145729", end: "failed"},
		{name: "malformed", text: "hello", err: errMalformed, end: "failed"},
		{name: "whole, but the worker is not free", text: "hello", err: io.EOF, closeErr: errDied, end: "failed"},
		{name: "shorter than it said", text: "hello", err: io.EOF, length: "10", end: "release"},
		{name: "longer than it said", text: "hello", err: io.EOF, length: "3", end: "release"},
	}
	for _, test := range tests {
		for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
			t.Run(test.name+" "+proto, func(t *testing.T) {
				t.Parallel()
				var header []string
				if test.length != "" {
					header = []string{"Content-Length", test.length}
				}
				b := newBackend(t, streams(200, closeFails{dying(test.text, test.err), test.closeErr}, header...))
				s := startSite(t, b)
				p := s.dial("GET / " + proto + "\r\nHost: site.test\r\n\r\n")
				checkCut(t, p)
				c := <-b.claimed
				<-c.done
				if got := c.end(); got != test.end {
					t.Errorf("the claim ended as %q, want %q", got, test.end)
				}
				if test.end == "failed" && !strings.Contains(s.logs.String(), `msg="answer cut" worker=site/1 request="GET /" error=`) {
					t.Errorf("not logged: %s", s.logs)
				}
			})
		}
	}
}

func TestProxy_CutsInMemoryAnswersOfAWrongLength(t *testing.T) {
	t.Parallel()
	for _, length := range []string{"3", "10"} {
		s := startSite(t, newBackend(t, says(200, "hello", "Content-Length", length)))
		checkCut(t, s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"))
	}
}

// liar says that it has all, and has not.
type liar struct{ closeFails }

func (liar) Complete() bool { return true }

func TestProxy_CutsInMemoryAnswersThatFail(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, streams(200, liar{closeFails{dying("hello", errDied), nil}})))
	checkCut(t, s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"))
}

// checkCut reads an answer that must not end well.
func checkCut(t *testing.T, p *peer) {
	t.Helper()
	resp, err := http.ReadResponse(p.br, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got the end of a whole answer: %v", err)
	}
}

// TestProxy_CutsForHalfClosedClients: the client that closed its sending side
// counts as gone, and may still read.
func TestProxy_CutsForHalfClosedClients(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			pr, pw := io.Pipe()
			b := newBackend(t, streams(200, pr))
			s := startSite(t, b)
			p := s.dial("GET / " + proto + "\r\nHost: site.test\r\n\r\n")
			io.WriteString(pw, "hello")
			p.br.Peek(1)
			p.CloseWrite()
			for err := error(nil); err == nil; { // until the proxy closes it
				_, err = io.WriteString(pw, "more")
			}
			checkCut(t, p)
			c := <-b.claimed
			<-c.done
			if got := b.ends(); !slices.Equal(got, []string{"release"}) {
				t.Errorf("the claims ended as %q", got)
			}
		})
	}
}

// TestProxy_GoClientSeesTheCut uses net/http on the other side, too.
func TestProxy_GoClientSeesTheCut(t *testing.T) {
	t.Parallel()
	s := startSite(t, newBackend(t, streams(200, dying("hello", errDied))))
	resp, err := s.Client().Do(s.request("GET", "/", nil))
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("the client got the end of a whole answer")
	}
}
