package proxy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// random returns n bytes that are never the same twice.
func random(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

func sum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// TestProxy_SlowReaderHoldsNoWorker sends 20 MB to a client that has read
// nothing when the worker is free again.
func TestProxy_SlowReaderHoldsNoWorker(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	b := newBackend(t, streams(200, random(size), "Content-Length", fmt.Sprint(size)))
	s := startSite(t, b)
	p := s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
	c := <-b.claimed
	<-c.done
	if got := c.end(); got != "release" {
		t.Errorf("the claim ended as %q", got)
	}
	resp := p.answer("GET")
	if got, want := sum(t, resp.Body), sum(t, random(size)); got != want {
		t.Errorf("got sha256 %s, want %s", got, want)
	}
	if e := <-s.entries; e.Bytes != size || e.Status != 200 || e.Worker != "site/1" {
		t.Errorf("logged as %+v", e)
	}
}

// TestProxy_SlowReaderHasTakenNothing is the same on a connection without any
// buffer, for sizes around what the spool has in memory.
func TestProxy_SlowReaderHasTakenNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, spool.AnswerMemory, spool.AnswerMemory + 1, 5 << 20} {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t, streams(200, random(size)))
			dial, _ := pipeSite(t, &site.Site{Backend: b})
			p := dial()
			p.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
			synctest.Wait()
			if got := b.ends(); !slices.Equal(got, []string{"release"}) {
				t.Errorf("%d bytes: before the client took any, the claims ended as %q", size, got)
			}
			resp, err := http.ReadResponse(p.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := sum(t, resp.Body), sum(t, random(size)); got != want {
				t.Errorf("%d bytes: got sha256 %s, want %s", size, got, want)
			}
		})
	}
}

// TestProxy_SlowSenderHoldsNoWorker holds back the last byte of a body.
func TestProxy_SlowSenderHoldsNoWorker(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 5000, spool.BodyMemory, spool.BodyMemory + 1, 3 << 20} {
		for name, test := range map[string]struct{ header, tail string }{
			"length":  {fmt.Sprintf("Content-Length: %d\r\n\r\n", size), ""},
			"chunked": {fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", size), "\r\n0\r\n\r\n"},
		} {
			synctest.Test(t, func(t *testing.T) {
				b := newBackend(t, says(200, "hello"))
				dial, _ := pipeSite(t, &site.Site{Backend: b})
				p := dial()
				p.send("POST / HTTP/1.1\r\nHost: site.test\r\n" + test.header)
				body := strings.Repeat("x", size) + test.tail
				for _, piece := range []string{body[:len(body)/2], body[len(body)/2 : len(body)-1]} {
					p.send(piece)
					synctest.Wait()
					if n := len(b.ends()); n > 0 {
						t.Errorf("%s, %d bytes: claimed before the whole body was here", name, size)
					}
				}
				p.send(body[len(body)-1:])
				if resp, _ := p.whole(); resp.StatusCode != 200 || len(b.ends()) != 1 {
					t.Errorf("%s, %d bytes: got %d, %d claims", name, size, resp.StatusCode, len(b.ends()))
				}
			})
		}
	}
}
