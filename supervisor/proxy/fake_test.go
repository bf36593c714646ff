package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

// answer is what a fake worker does with a request whose body it has read.
type answer func(r *http.Request) (*http.Response, error)

// fakeBackend gives every claim the next of its answers; the last one repeats.
type fakeBackend struct {
	answers []answer
	refuse  func(ctx context.Context, n int) error // asked before the n-th claim; may be nil
	claimed chan *fakeClaim

	mu sync.Mutex
	// mu protects all below
	asked  int
	claims []*fakeClaim
}

// newBackend checks, when the test ends, that every claim came to one right end.
func newBackend(tb testing.TB, answers ...answer) *fakeBackend {
	b := &fakeBackend{answers: answers, claimed: make(chan *fakeClaim, 256)}
	tb.Cleanup(func() { b.check(tb) })
	return b
}

func (b *fakeBackend) Claim(ctx context.Context, what string) (site.Claim, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.refuse != nil {
		if err := b.refuse(ctx, b.asked); err != nil {
			return nil, err
		}
	}
	c := &fakeClaim{backend: b, what: what, id: fmt.Sprintf("site/%d", b.asked), done: make(chan struct{})}
	c.answer = b.answers[min(b.asked, len(b.answers))-1]
	b.claims = append(b.claims, c)
	b.claimed <- c
	return c, nil
}

// ends returns how each claim ended, in the order of the claims.
func (b *fakeBackend) ends() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ends := []string{}
	for _, c := range b.claims {
		ends = append(ends, c.end())
	}
	return ends
}

func (b *fakeBackend) check(tb testing.TB) {
	tb.Helper()
	for i, end := range b.ends() {
		if !slices.Contains([]string{"release", "failed", "abandon release"}, end) {
			tb.Errorf("claim %d ended as %q", i+1, end)
		}
	}
}

// fakeClaim notes what is done with it, in order.
type fakeClaim struct {
	backend  *fakeBackend
	what, id string
	answer   answer
	done     chan struct{} // closed by Release and Fail
	request  *http.Request // as the worker got it
	body     []byte
	err      error // given to Fail

	mu sync.Mutex
	// mu protects all below
	events []string
	open   *fakeBody // the answer, until it is closed
}

func (c *fakeClaim) Worker() string { return c.id }

func (c *fakeClaim) RoundTrip(r *http.Request) (*http.Response, error) {
	c.request = r.Clone(context.Background())
	var err error
	if c.body, err = io.ReadAll(r.Body); err != nil {
		return nil, err
	}
	resp, err := c.answer(r)
	if err == nil {
		body := &fakeBody{ReadCloser: resp.Body, claim: c}
		c.mu.Lock()
		c.open = body
		c.mu.Unlock()
		if whole, ok := resp.Body.(wholeBody); ok && whole.Complete() {
			resp.Body = wholeFake{body}
		} else {
			resp.Body = body
		}
	}
	return resp, err
}

func (c *fakeClaim) PID() int                     { return 0 }
func (c *fakeClaim) Hold(func()) (release func()) { return func() {} }
func (c *fakeClaim) Release()                     { c.note("release", true) }
func (c *fakeClaim) Abandon()                     { c.note("abandon", false) }

func (c *fakeClaim) Fail(err error) {
	c.err = err
	c.note("failed", true)
}

func (c *fakeClaim) Retry(ctx context.Context) (site.Claim, error) {
	if c.end() != "failed" {
		return nil, fmt.Errorf("it ended as %q", c.end())
	}
	return c.backend.Claim(ctx, c.what)
}

func (c *fakeClaim) note(event string, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil && last && !c.open.complete() {
		event += " with an open answer"
	}
	c.events = append(c.events, event)
	if last && len(c.events) <= 2 {
		select {
		case <-c.done: // twice: end tells
		default:
			close(c.done)
		}
	}
}

func (c *fakeClaim) end() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		return strings.Join(c.events, " ") + ", its answer never closed"
	}
	return strings.Join(c.events, " ")
}

// fakeBody tells its claim that it was closed.
type fakeBody struct {
	io.ReadCloser
	claim *fakeClaim
}

func (b *fakeBody) complete() bool {
	whole, ok := b.ReadCloser.(wholeBody)
	return ok && whole.Complete()
}

func (b *fakeBody) Close() error {
	b.claim.mu.Lock()
	b.claim.open = nil
	b.claim.mu.Unlock()
	return b.ReadCloser.Close()
}

type wholeFake struct{ *fakeBody }

func (b wholeFake) Complete() bool { return true }

// inMemory is an answer that has arrived completely.
type inMemory struct{ *strings.Reader }

func (inMemory) Complete() bool { return true }
func (inMemory) Close() error   { return nil }

// says answers with a text that is in memory.
func says(status int, text string, header ...string) answer {
	return func(*http.Request) (*http.Response, error) {
		return response(status, inMemory{strings.NewReader(text)}, header...), nil
	}
}

// streams answers with a body that comes bit by bit.
func streams(status int, body io.Reader, header ...string) answer {
	rc, ok := body.(io.ReadCloser)
	if !ok {
		rc = io.NopCloser(body)
	}
	return func(*http.Request) (*http.Response, error) { return response(status, rc, header...), nil }
}

// fails gives no answer.
func fails(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func response(status int, body io.ReadCloser, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: body, ContentLength: -1}
}

// buffer is what concurrent loggers write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // mu protects it
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// prefixes parses a list of trusted proxies.
func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}
