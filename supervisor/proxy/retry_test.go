package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/worker/wire"
)

var (
	errDied      = fmt.Errorf("worker site/1: %w", io.ErrUnexpectedEOF)
	errUnsent    = fmt.Errorf("%w: no such socket", wire.ErrNotSent)
	errMalformed = errors.New("malformed answer: record type 9")
)

// TestProxy_RepeatsOnlyWhatIsSafe sends bodies, too: the second worker must get
// the same.
func TestProxy_RepeatsOnlyWhatIsSafe(t *testing.T) {
	t.Parallel()
	const once, twice = "failed", "failed release"
	tests := []struct {
		name, method string
		first        error
		want         string // how the claims end
	}{
		{"GET, died", "GET", errDied, twice},
		{"GET, end of file", "GET", io.EOF, twice},
		{"GET, reset", "GET", syscall.ECONNRESET, twice},
		{"GET, broken pipe", "GET", syscall.EPIPE, twice},
		{"HEAD, died", "HEAD", errDied, twice},
		{"OPTIONS, died", "OPTIONS", errDied, twice},
		{"TRACE, died", "TRACE", errDied, twice},
		{"PUT, died", "PUT", errDied, twice},
		{"DELETE, died", "DELETE", errDied, twice},
		{"POST, died", "POST", errDied, once},
		{"PATCH, died", "PATCH", errDied, once},
		{"unknown method, died", "PURGE", errDied, once},
		{"POST, not sent", "POST", errUnsent, twice},
		{"GET, not sent", "GET", errUnsent, twice},
		{"PATCH, not sent", "PATCH", errUnsent, twice},
		{"GET, malformed", "GET", errMalformed, once},
		{"POST, malformed", "POST", errMalformed, once},
		{"GET, cancelled", "GET", context.Canceled, once},
	}
	for _, test := range tests {
		for _, size := range []int{0, 10, spool.BodyMemory + 1000} {
			t.Run(fmt.Sprint(test.name, ", ", size, " bytes"), func(t *testing.T) {
				t.Parallel()
				if size > 0 && test.method == "TRACE" {
					t.Skip("clients send no body with it")
				}
				sent := strings.Repeat("x", size/2) + strings.Repeat("y", size-size/2)
				b := newBackend(t, fails(test.first), says(200, "hello"))
				s := startSite(t, b)
				resp, body := s.do(test.method, "/path?query", strings.NewReader(sent))
				checkRepeat(t, b, test.want, sent)
				switch {
				case test.want == once && (resp.StatusCode != 502 || !strings.Contains(body, "502 Bad Gateway")):
					t.Errorf("got %d %q", resp.StatusCode, body)
				case test.want == twice && (resp.StatusCode != 200 || test.method != "HEAD" && body != "hello"):
					t.Errorf("got %d %q", resp.StatusCode, body)
				}
				want := `limit="the worker gave no answer" host=site.test request="` + test.method + ` /path?…" worker=site/1 error=`
				if test.want == twice {
					want = `msg="request repeated on another worker" worker=site/2 after=site/1 request="` + test.method + ` /path?…"`
				}
				if !strings.Contains(s.logs.String(), want) {
					t.Errorf("not logged: %s\n%s", want, s.logs)
				}
				if strings.Contains(body, "site/1") || strings.Contains(body, "path") {
					t.Errorf("the visitor reads of our inside: %s", body)
				}
			})
		}
	}
}

func checkRepeat(t *testing.T, b *fakeBackend, ends, body string) {
	t.Helper()
	if got := strings.Join(b.ends(), " "); got != ends {
		t.Errorf("the claims ended as %q, want %q", got, ends)
	}
	for range b.ends() {
		if c := <-b.claimed; string(c.body) != body || c.request.ContentLength != int64(len(body)) {
			t.Errorf("%s got another body: %d bytes, length %d", c.id, len(c.body), c.request.ContentLength)
		}
	}
}

// TestProxy_GivesUp: a request is not repeated if it could have been carried out twice,
// or if its workers die as soon as it comes.
func TestProxy_GivesUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fails []error
	}{
		{"it reached two workers", []error{errDied, errDied}},
		{"it reached two of three workers", []error{errDied, errUnsent, errDied}},
		{"it reached the last two", []error{errUnsent, errDied, errDied}},
		{"it was never sent", []error{errUnsent, errUnsent, errUnsent}},
		{"the second answer is malformed", []error{errUnsent, errMalformed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var answers []answer
			var want []string
			for _, err := range test.fails {
				answers, want = append(answers, fails(err)), append(want, "failed")
			}
			b := newBackend(t, append(answers, says(200, "too late"))...)
			s := startSite(t, b)
			resp, _ := s.do("GET", "/", nil)
			if resp.StatusCode != 502 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("got %d %v", resp.StatusCode, resp.Header)
			}
			if got := b.ends(); !slices.Equal(got, want) {
				t.Errorf("the claims ended as %q", got)
			}
			if e := <-s.entries; e.Status != 502 || e.Bytes != resp.ContentLength {
				t.Errorf("logged as %d, %d bytes of %d", e.Status, e.Bytes, resp.ContentLength)
			}
		})
	}
}

// TestProxy_DoesNotRiskAnotherWorker: a request that workers died of is not repeated. The
// visitor gets the answer that a second death would have led to, and no line of the log
// says that the request was repeated.
func TestProxy_DoesNotRiskAnotherWorker(t *testing.T) {
	t.Parallel()
	b := newBackend(t, fails(errDied), says(200, "too late"))
	b.refuse = func(_ context.Context, n int) error {
		if n == 2 {
			return site.ErrDeadly
		}
		return nil
	}
	s := startSite(t, b)
	if resp, _ := s.do("GET", "/", nil); resp.StatusCode != 502 || resp.Header.Get("Retry-After") != "" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	if got := b.ends(); !slices.Equal(got, []string{"failed"}) {
		t.Errorf("the claims ended as %q", got)
	}
	logs := s.logs.String()
	if !strings.Contains(logs, `limit="workers died while they ran this request"`) || !strings.Contains(logs, errDied.Error()) || strings.Contains(logs, "repeated") {
		t.Errorf("logged: %s", logs)
	}
}

// TestProxy_SaysWhatReachedTheWorker: Claim.Fail gets the error as it is, since the pool
// must not take a worker that refused a request for one that died of it.
func TestProxy_SaysWhatReachedTheWorker(t *testing.T) {
	t.Parallel()
	b := newBackend(t, fails(errUnsent), fails(errDied), fails(errDied))
	startSite(t, b).do("GET", "/", nil)
	for _, want := range []error{errUnsent, errDied, errDied} {
		if c := <-b.claimed; !errors.Is(c.err, want) {
			t.Errorf("%s: got %v, want %v", c.id, c.err, want)
		}
	}
}

// TestProxy_KeepsTheFirstHeader guards a worker's transport that still
// reads the header when its request has failed already.
func TestProxy_KeepsTheFirstHeader(t *testing.T) {
	t.Parallel()
	var first http.Header
	b := newBackend(t, func(r *http.Request) (*http.Response, error) {
		first = r.Header
		return nil, errDied
	}, func(r *http.Request) (*http.Response, error) {
		r.Header.Set("X-Second", "1")
		return says(200, "hello")(r)
	})
	s := startSite(t, b)
	s.do("GET", "/", nil, "X-Sent", "1")
	if first.Get("X-Sent") != "1" || first.Get("X-Second") != "" {
		t.Errorf("got %v", first)
	}
}

func TestProxy_RefusesStatusesThatEndNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 99, 100, 101, 103, 199, 1000} {
		b := newBackend(t, streams(status, strings.NewReader("hello")))
		s := startSite(t, b)
		if resp, _ := s.do("GET", "/", nil); resp.StatusCode != 502 {
			t.Errorf("status %d: got %d, want 502", status, resp.StatusCode)
		}
		if got := b.ends(); !slices.Equal(got, []string{"failed"}) {
			t.Errorf("status %d: the claims ended as %q", status, got)
		}
	}
}

func TestProxy_SaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]int{"at once": 1, "after a worker died": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, fails(errDied))
			b.refuse = func(_ context.Context, n int) error {
				if n == refused {
					return errors.New("the queue is full (listen_backlog)")
				}
				return nil
			}
			s := startSite(t, b)
			resp, body := s.do("GET", "/", nil)
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" || !strings.Contains(body, "503 Service Unavailable") {
				t.Errorf("got %d %v %q", resp.StatusCode, resp.Header, body)
			}
			if strings.Contains(body, "backlog") || !strings.Contains(s.logs.String(), "listen_backlog") {
				t.Errorf("the reason belongs into the log: %q, %s", body, s.logs)
			}
		})
	}
}

// TestProxy_DropsARequestWhoseClientLeftTheQueue never answers it: a client that
// only closed its sending side must not read an empty answer.
func TestProxy_DropsARequestWhoseClientLeftTheQueue(t *testing.T) {
	t.Parallel()
	queued := make(chan struct{})
	b := newBackend(t)
	b.refuse = func(ctx context.Context, _ int) error {
		close(queued)
		<-ctx.Done()
		return fmt.Errorf("wait for a worker: %w", context.Cause(ctx))
	}
	s := startSite(t, b)
	p := s.dial("GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
	<-queued
	p.CloseWrite()
	if got, err := io.ReadAll(p); err != nil || len(got) > 0 {
		t.Errorf("got %q, %v, want a closed connection", got, err)
	}
	if e := <-s.entries; e.Status != site.StatusClientGone {
		t.Errorf("logged as %d", e.Status)
	}
}

// TestProxy_GoesOnWhenTheClientLeft: what a worker has begun is not undone.
func TestProxy_GoesOnWhenTheClientLeft(t *testing.T) {
	t.Parallel()
	working, gone := make(chan struct{}), make(chan struct{})
	var ctxErr error
	b := newBackend(t, func(r *http.Request) (*http.Response, error) {
		close(working)
		<-gone
		ctxErr = r.Context().Err()
		return response(200, inMemory{strings.NewReader("too late")}), nil
	})
	s := startSite(t, b)
	s.Config.Handler = notifyGone(s.Config.Handler, gone)
	p := s.dial("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello")
	<-working
	p.Close()
	c := <-b.claimed
	<-s.entries // it is over: an answer that is whole is closed after the worker is free
	if ctxErr != nil || !bytes.Equal(c.body, []byte("hello")) {
		t.Errorf("the worker saw %v, body %q", ctxErr, c.body)
	}
	if got := c.end(); got != "release" {
		t.Errorf("the claim ended as %q", got)
	}
}

// notifyGone closes gone when net/http knows that the client has left.
func notifyGone(h http.Handler, gone chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop := context.AfterFunc(r.Context(), func() { close(gone) })
		defer stop()
		h.ServeHTTP(w, r)
	})
}
