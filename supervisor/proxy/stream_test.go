package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestProxy_FlushesEachPiece produces a piece only when the client has the one
// before.
func TestProxy_FlushesEachPiece(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{"chunked": nil, "length": {"Content-Length", "50"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pr, pw := io.Pipe()
			b := newBackend(t, streams(200, pr, header...))
			s := startSite(t, b)
			resp, err := s.Client().Do(s.request("GET", "/", nil)) // the header comes before any piece
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got := make([]byte, 5)
			for i := range 10 {
				piece := fmt.Sprintf("%05d", i)
				io.WriteString(pw, piece)
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
					t.Fatalf("got %q, %v, want %q", got, err, piece)
				}
			}
			pw.Close()
			if n, err := resp.Body.Read(got); n > 0 || err != io.EOF {
				t.Errorf("got %q, %v, want the end", got[:n], err)
			}
			if e := <-s.entries; e.Bytes != 50 {
				t.Errorf("logged as %d bytes", e.Bytes)
			}
		})
	}
}

// TestProxy_ReleasesWhenTheClientDisconnects: the worker is released although it goes on to
// answer.
func TestProxy_ReleasesWhenTheClientDisconnects(t *testing.T) {
	t.Parallel()
	pr, pw := io.Pipe()
	b := newBackend(t, streams(200, pr))
	s := startSite(t, b)
	resp, err := s.Client().Do(s.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(pw, "hello")
	resp.Body.Close()
	for err := error(nil); err == nil; { // until the proxy closes it
		_, err = io.WriteString(pw, "more")
	}
	c := <-b.claimed
	<-c.done
	if got := c.end(); got != "release" {
		t.Errorf("the claim ended as %q", got)
	}
}

// TestProxy_NotifiesASilentWorkerOfADisconnect: the context of the request ends for a
// worker that sends nothing.
func TestProxy_NotifiesASilentWorkerOfADisconnect(t *testing.T) {
	t.Parallel()
	b := newBackend(t, func(r *http.Request) (*http.Response, error) {
		pr, pw := io.Pipe()
		context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
		return response(200, pr), nil
	})
	s := startSite(t, b)
	resp, err := s.Client().Do(s.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c := <-b.claimed
	<-c.done
	if got := c.end(); got != "release" {
		t.Errorf("the claim ended as %q", got)
	}
}

// TestProxy_BreaksWithAWorkerThatIsNotFree: the client has left, and Close says
// that the worker did not leave the request.
func TestProxy_BreaksWithAWorkerThatIsNotFree(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err error
		end string
	}{
		"gone":  {errDied, "failed"},
		"stuck": {context.DeadlineExceeded, "abandon release"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, streams(200, closeFails{endless{}, test.err}))
			s := startSite(t, b)
			resp, err := s.Client().Do(s.request("GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			c := <-b.claimed
			<-c.done
			if got := c.end(); got != test.end {
				t.Errorf("the claim ended as %q, want %q", got, test.end)
			}
		})
	}
}

// TestProxy_ReleasesWhatNobodyWants: a body where none may be, and one that is
// longer than it said.
func TestProxy_ReleasesWhatNobodyWants(t *testing.T) {
	t.Parallel()
	for _, answer := range []answer{streams(204, endless{}), streams(304, endless{}), streams(200, endless{}, "Content-Length", "3")} {
		b := newBackend(t, answer)
		s := startSite(t, b)
		s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
		c := <-b.claimed
		<-c.done
		if got := c.end(); got != "release" {
			t.Errorf("the claim ended as %q", got)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestProxy_SendsNoBodyWhereNoneMayBe(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("x", 10000)
	header := []string{"Etag", `"a"`, "Content-Type", "text/plain", "Content-Length", "10000"}
	for _, test := range []struct {
		method string
		status int
		length string
	}{
		{"HEAD", 200, "10000"},
		{"HEAD", 404, "10000"},
		{"GET", 204, ""},
		{"GET", 304, ""},
		{"HEAD", 304, ""},
	} {
		for name, answer := range map[string]func() answer{
			"in memory": func() answer { return says(test.status, text, header...) },
			"spooled":   func() answer { return streams(test.status, strings.NewReader(text), header...) },
			"empty":     func() answer { return says(test.status, "", header...) },
		} {
			t.Run(fmt.Sprint(test.method, " ", test.status, " ", name), func(t *testing.T) {
				t.Parallel()
				b := newBackend(t, answer())
				s := startSite(t, b)
				p := s.dial("")
				for range 2 { // a body that slips through would be the second answer
					p.send(test.method + " / HTTP/1.1\r\nHost: site.test\r\n\r\n")
					resp, body := p.whole(test.method)
					if resp.StatusCode != test.status || body != "" || resp.Header.Get("Etag") != `"a"` {
						t.Errorf("got %d %v %.20q", resp.StatusCode, resp.Header, body)
					}
					if got := resp.Header.Get("Content-Length"); test.length != "" && got != test.length {
						t.Errorf("got Content-Length %q", got)
					}
					if e := <-s.entries; e.Bytes != 0 || e.Status != test.status {
						t.Errorf("logged as %d, %d bytes", e.Status, e.Bytes)
					}
				}
				if got := b.ends(); !slices.Equal(got, []string{"release", "release"}) {
					t.Errorf("the claims ended as %q", got)
				}
			})
		}
	}
}
