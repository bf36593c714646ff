package proxy

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// unsized hides its length: net/http sends chunks.
type unsized struct{ io.Reader }

func TestProxy_PassesBodiesOn(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, spool.CopySize, spool.BodyMemory - 1, spool.BodyMemory, spool.BodyMemory + 1, spool.BodyMemory + 2, 5 << 20} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"length":  func(r io.Reader) io.Reader { return strings.NewReader(readAll(t, r)) },
			"chunked": func(r io.Reader) io.Reader { return unsized{r} },
		} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				t.Parallel()
				b := newBackend(t, says(200, "hello"))
				s := startSite(t, b)
				if resp, _ := s.do("POST", "/", wrap(random(int64(size)))); resp.StatusCode != 200 {
					t.Errorf("got %d", resp.StatusCode)
				}
				c := <-b.claimed
				if string(c.body) != readAll(t, random(int64(size))) {
					t.Errorf("the worker got another body of %d bytes", len(c.body))
				}
				if r := c.request; r.ContentLength != int64(size) || len(r.TransferEncoding) > 0 {
					t.Errorf("the worker got length %d, %q", r.ContentLength, r.TransferEncoding)
				}
			})
		}
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxy_HoldsBodiesToTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 1000, spool.BodyMemory - 1, spool.BodyMemory, spool.BodyMemory + 1, 1 << 20} {
		for _, over := range []int{0, 1, 3 << 20} {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d over %d, chunked %v", over, limit, chunked), func(t *testing.T) {
					t.Parallel()
					checkLimit(t, limit, over, chunked)
				})
			}
		}
	}
}

func checkLimit(t *testing.T, limit, over int, chunked bool) {
	b := newBackend(t, says(200, "hello"))
	s := startSite(t, b, func(st *site.Site) { st.MaxBody = int64(limit) })
	var body io.Reader = strings.NewReader(strings.Repeat("x", limit+over))
	if chunked {
		body = unsized{body}
	}
	resp, text := s.do("POST", "/", body)
	if over == 0 {
		if c := <-b.claimed; resp.StatusCode != 200 || len(c.body) != limit {
			t.Errorf("got %d, a body of %d bytes", resp.StatusCode, len(c.body))
		}
		return
	}
	if resp.StatusCode != 413 || !strings.Contains(text, "413 Request Entity Too Large") || !resp.Close {
		t.Errorf("got %d, close %v, %q", resp.StatusCode, resp.Close, text)
	}
	if len(b.ends()) > 0 || !strings.Contains(s.logs.String(), "status=413 limit=max_body") {
		t.Errorf("claims %q, log %s", b.ends(), s.logs)
	}
}

func TestProxy_ClaimsNothingForHalfABody(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", spool.BodyMemory+5000)
	for name, rest := range map[string]string{
		"short":          "Content-Length: 100\r\n\r\nhello",
		"none":           "Content-Length: 100\r\n\r\n",
		"large":          "Content-Length: 1000000\r\n\r\n" + half,
		"chunk":          "Transfer-Encoding: chunked\r\n\r\n64\r\nhello",
		"no last chunk":  "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"half a trailer": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A",
	} {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, half-closed %v", name, half), func(t *testing.T) {
				t.Parallel()
				b := newBackend(t)
				s := startSite(t, b)
				p := s.dial("POST / HTTP/1.1\r\nHost: site.test\r\n" + rest)
				if half {
					p.CloseWrite()
					if got, _ := io.ReadAll(p); strings.Contains(string(got), " 200 ") {
						t.Errorf("got %q", got)
					}
				} else {
					p.Close()
				}
				if e := <-s.entries; e.Status != site.StatusClientGone {
					t.Errorf("logged as %d", e.Status)
				}
				if len(b.ends()) > 0 {
					t.Error("a worker was claimed")
				}
			})
		}
	}
}

func TestProxy_RefusesMalformedBodies(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"chunk size":       "Transfer-Encoding: chunked\r\n\r\nhello\r\n",
		"chunk end":        "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
		"large, chunk end": "Transfer-Encoding: chunked\r\n\r\n50000\r\n" + strings.Repeat("x", 0x50000) + "xx\r\n0\r\n\r\n",
		"two lengths":      "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"no number":        "Content-Length: five\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			s := startSite(t, b)
			resp := s.dial("POST / HTTP/1.1\r\nHost: site.test\r\n" + rest).answer("POST")
			if resp.StatusCode != 400 || !resp.Close {
				t.Errorf("got %d, close %v", resp.StatusCode, resp.Close)
			}
			if len(b.ends()) > 0 {
				t.Error("a worker was claimed")
			}
		})
	}
}

// TestProxy_AnswersExpect tells clients to go on only when the body is wanted,
// and no worker about it.
func TestProxy_AnswersExpect(t *testing.T) {
	t.Parallel()
	b := newBackend(t, says(200, "hello"))
	s := startSite(t, b, func(st *site.Site) { st.MaxBody = 10 })
	p := s.dial("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if resp := p.answer("POST"); resp.StatusCode != 100 {
		t.Fatalf("got %d, want 100", resp.StatusCode)
	}
	p.send("hello")
	if resp, _ := p.whole("POST"); resp.StatusCode != 200 || resp.Close {
		t.Errorf("got %d, close %v", resp.StatusCode, resp.Close)
	}
	if c := <-b.claimed; string(c.body) != "hello" || c.request.Header["Expect"] != nil {
		t.Errorf("got %q, %v", c.body, c.request.Header)
	}
	p.send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
	if resp, _ := p.whole("POST"); resp.StatusCode != 413 || !resp.Close {
		t.Errorf("too large: got %d, close %v", resp.StatusCode, resp.Close)
	}
	if resp := s.dial("POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").answer("POST"); resp.StatusCode != 421 {
		t.Errorf("unknown host: got %d", resp.StatusCode)
	}
}

func TestProxy_KeepsConnections(t *testing.T) {
	t.Parallel()
	b := newBackend(t, says(200, "hello"))
	s := startSite(t, b)
	p := s.dial("")
	for range 3 {
		p.send("POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n")
		if resp, body := p.whole("POST"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		if c := <-b.claimed; len(c.request.Trailer) > 0 {
			t.Errorf("the worker got a trailer %v", c.request.Trailer)
		}
	}
}

func TestProxy_FailsWithoutSpool(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	b := newBackend(t, says(200, "hello"), streams(200, random(20<<20)))
	s := start(t, Options{SpoolDir: missing}, site.Route{Hosts: []string{"site.test"}, Site: &site.Site{Backend: b}})
	resp, body := s.do("POST", "/", strings.NewReader(strings.Repeat("x", spool.BodyMemory+2)))
	if resp.StatusCode != 500 || strings.Contains(body, missing) || !strings.Contains(s.logs.String(), missing) {
		t.Errorf("got %d %q, log %s", resp.StatusCode, body, s.logs)
	}
	if len(b.ends()) > 0 {
		t.Error("a worker was claimed")
	}
	if resp, _ := s.do("POST", "/small", strings.NewReader(strings.Repeat("x", spool.BodyMemory))); resp.StatusCode != 200 {
		t.Errorf("a body that fits in memory: got %d", resp.StatusCode)
	}
	<-b.claimed
	resp, body = s.do("GET", "/", nil)
	if resp.StatusCode != 200 || len(body) != 20<<20 {
		t.Errorf("an answer that is larger than what is kept in memory: got %d, %d bytes", resp.StatusCode, len(body))
	}
	if got := b.ends(); !slices.Equal(got, []string{"release", "release"}) {
		t.Errorf("the claims ended as %q, log %s", got, s.logs)
	}
}
