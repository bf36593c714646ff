package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// TestProxy_GivesUpOnSilentClients: each of them has its time for each step.
func TestProxy_GivesUpOnSilentClients(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, request string
		status        int
		closed        time.Duration
	}{
		{"half a body", "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 10\r\n\r\nhello", 408, clientTimeout},
		{"half a large body", "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 300000), 408, clientTimeout},
		{"half a chunk", "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 408, clientTimeout},
		{"a body nobody reads", "POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 10\r\n\r\nhello", 421, clientTimeout},
		{"a body that is too large", "POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1000001\r\n\r\nhello", 413, 0},
		{"chunks that are too many", "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\nF4241\r\n" + strings.Repeat("x", 1000001), 413, clientTimeout},
		{"half a header", "POST / HTTP/1.1\r\nHost: site", 0, timeouts.Header},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t)
			dial, s := pipeSite(t, &site.Site{Backend: b, MaxBody: 1000000})
			p, begin := dial(), time.Now()
			p.send(test.request)
			if test.status != 0 {
				if resp, _ := p.whole(); resp.StatusCode != test.status {
					t.Errorf("%s: got %d, want %d\n%s", test.name, resp.StatusCode, test.status, s.logs)
				}
				if took := time.Since(begin); test.status != 408 && took > 0 {
					t.Errorf("%s: answered after %v", test.name, took)
				}
			}
			io.Copy(io.Discard, p.br)
			// net/http waits half a second more for a client that is still sending.
			if took := time.Since(begin); took < test.closed || took > test.closed+500*time.Millisecond {
				t.Errorf("%s: closed after %v, want %v", test.name, took, test.closed)
			}
			if len(b.ends()) > 0 {
				t.Errorf("%s: a worker was claimed", test.name)
			}
		})
	}
}

// TestProxy_HasPatience: clients that are slow but make progress get no timeout.
func TestProxy_HasPatience(t *testing.T) {
	t.Parallel()
	for request, body := range map[string]string{"POST /": "hello", "GET /static/large.bin": ""} {
		synctest.Test(t, func(t *testing.T) {
			st := &site.Site{Backend: newBackend(t, streams(200, random(300<<10))), RequestTimeout: time.Second, Static: []site.Static{largeFile(t)}}
			dial, _ := pipeSite(t, st)
			p := dial()
			p.send(fmt.Sprintf("%s HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n", request, len(body)))
			for _, c := range body {
				<-time.After(clientTimeout - time.Second)
				p.send(string(c))
			}
			resp, err := http.ReadResponse(p.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			slowly := readerFunc(func(b []byte) (int, error) {
				<-time.After(10 * time.Second)
				return resp.Body.Read(b)
			})
			if got, want := sum(t, slowly), sum(t, random(300<<10)); got != want {
				t.Errorf("%s: got sha256 %s, want %s", request, got, want)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestProxy_LetsClientsWait: a client that has sent all of its request may wait without a
// timeout.
func TestProxy_LetsClientsWait(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"length":  "Content-Length: 5\r\n\r\nhello",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t, says(200, "hello"))
			b.refuse = func(ctx context.Context, _ int) error {
				select {
				case <-time.After(2 * clientTimeout):
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			dial, _ := pipeSite(t, &site.Site{Backend: b})
			p := dial()
			p.send("POST / HTTP/1.1\r\nHost: site.test\r\n" + header)
			if resp, _ := p.whole(); resp.StatusCode != 200 {
				t.Errorf("%s: got %d", name, resp.StatusCode)
			}
		})
	}
}

func TestProxy_CutsClientsThatTakeNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		request string
		answer  answer
		took    time.Duration
	}{
		"spooled":     {"GET /", streams(200, random(5<<20)), clientTimeout},
		"in memory":   {"GET /", says(200, strings.Repeat("x", 30<<10)), clientTimeout},
		"file":        {"GET /static/large.bin", nil, clientTimeout},
		"no file":     {"HEAD /static/large.bin", nil, 0}, // net/http flushes it when we are done
		"our own":     {"GET /", fails(errMalformed), 0},
		"no such one": {"GET /static/missing", nil, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			dial, s := pipeSite(t, &site.Site{Backend: newBackend(t, test.answer), Static: []site.Static{largeFile(t)}})
			p, begin := dial(), time.Now()
			p.send(test.request + " HTTP/1.1\r\nHost: site.test\r\n\r\n")
			if e := <-s.entries; e.Took != test.took || time.Since(begin) != test.took {
				t.Errorf("%s: took %v, want %v", name, e.Took, test.took)
			}
			<-time.After(time.Until(begin.Add(clientTimeout + time.Second)))
			if got, err := io.ReadAll(p); err != nil || len(got) > 0 {
				t.Errorf("%s: the connection is still open: %.60q, %v", name, got, err)
			}
		})
	}
}

func largeFile(t *testing.T) site.Static {
	t.Helper()
	dir := t.TempDir()
	b := []byte(readAll(t, random(300<<10)))
	if err := os.WriteFile(filepath.Join(dir, "large.bin"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return site.Static{Prefix: "/static/", Dirs: []string{dir}, Only: true}
}

// TestProxy_EndsAStreamAfterALongPause: the last piece and the end are further
// apart than a client's time for one step.
func TestProxy_EndsAStreamAfterALongPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		dial, _ := pipeSite(t, &site.Site{Backend: newBackend(t, streams(200, pr))})
		p := dial()
		p.send("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
		go func() {
			io.WriteString(pw, "hello")
			<-time.After(clientTimeout + 10*time.Second)
			pw.Close()
		}()
		if _, body := p.whole(); body != "hello" {
			t.Errorf("got %q", body)
		}
	})
}

func TestProxy_TimesOutExactly(t *testing.T) {
	t.Parallel()
	const limit = 7 * time.Second
	silent := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, fmt.Errorf("worker: %w", r.Context().Err())
	}
	stuck := func(r *http.Request) (*http.Response, error) {
		pr, pw := io.Pipe()
		context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
		go io.WriteString(pw, "hello")
		return response(200, pr), nil
	}
	for name, test := range map[string]struct {
		answer answer
		log    string
	}{
		"before the answer": {silent, `msg="request failed" status=504 limit=request_timeout host=site.test request="POST /a" worker=site/1`},
		"in the answer":     {stuck, `msg="answer cut" limit=request_timeout worker=site/1 request="POST /a"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t, test.answer)
			dial, s := pipeSite(t, &site.Site{Backend: b, RequestTimeout: limit})
			p, begin := dial(), time.Now()
			p.send("POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\n")
			<-time.After(time.Second) // a slow client's own time does not count
			p.send("hello")
			resp, err := http.ReadResponse(p.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != 504 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: got %d, %v", name, resp.StatusCode, err)
			}
			if took := time.Since(begin); took != time.Second+limit {
				t.Errorf("%s: the client was told after %v, want %v", name, took, time.Second+limit)
			}
			if got := b.ends(); !slices.Equal(got, []string{"abandon release"}) {
				t.Errorf("%s: the claims ended as %q", name, got)
			}
			if !strings.Contains(s.logs.String(), test.log) {
				t.Errorf("%s: not logged: %s", name, s.logs)
			}
		})
	}
}
