package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/fastcgi"
	"github.com/multisite/multisite/worker/wire"
)

// crewClaim is a Direct that notes how it ends.
type crewClaim struct {
	crew *crew
	what string
	w    *crewWorker
	sent bool
	more bool
	real *fastcgi.Sent // what Send returned for a Python worker; nil: nothing was sent to one

	ends   string // crew.mu protects it
	waited bool   // a goroutine waits for the answer, so it gets no followers; crew.mu protects it
}

func (c *crewClaim) removeLocked() {
	c.w.line = slices.DeleteFunc(c.w.line, func(o *crewClaim) bool { return o == c })
}

func (c *crewClaim) Worker() string { return c.w.id }

func (c *crewClaim) end(how string, next func() *crewWorker) {
	c.crew.mu.Lock()
	defer c.crew.mu.Unlock()
	c.ends = strings.TrimPrefix(c.ends+" "+how, " ")
	if next == nil {
		return
	}
	c.removeLocked()
	if w := next(); len(w.line) == 0 {
		c.crew.free = append(c.crew.free, w)
	}
	c.crew.dispatchLocked()
}

func (c *crewClaim) PID() int                                      { return 0 }
func (c *crewClaim) Hold(func()) (release func())                  { return func() {} }
func (c *crewClaim) Abandon()                                      { c.end("abandon", nil) }
func (c *crewClaim) Release()                                      { c.end("release", func() *crewWorker { return c.w }) }
func (c *crewClaim) Retry(ctx context.Context) (site.Claim, error) { return c.crew.Claim(ctx, c.what) }
func (c *crewClaim) Fail(error) {
	if c.w.python != nil {
		c.w.python.fail(c.real)
	} else {
		c.w.conn.Close()
	}
	c.end("failed", func() *crewWorker { return c.crew.hire(c.crew) })
}

func (c *crewClaim) Send(h *wire.Head, w wire.Watcher) (wire.Outcome, int) {
	c.crew.mu.Lock()
	first := c.w.line[0]
	waited := first.waited
	c.crew.mu.Unlock()
	if c.crew.sees != nil {
		c.crew.sees(h)
	}
	if c.w.python != nil {
		c.real = c.w.python.send(first != c, h, w)
		if c.real.Outcome() == wire.Written {
			return wire.Written, c.real.FD()
		}
		return c.real.Outcome(), -1
	}
	request := h.URI + "\n"
	switch {
	case first != c && (waited || c.w.back.Load() > 0):
		return wire.NoFollower, -1
	case first != c:
		c.w.tokens.Add(1)
		request = "+" + request
	}
	if rest, err := c.w.conn.Send(w, []byte(request)); len(rest) > 0 || err != nil {
		if first != c && c.w.takeToken() {
			return wire.NoFollower, -1
		}
		return wire.AwaitOnly, -1
	}
	c.sent = true
	return wire.Written, c.w.conn.FD()
}

func (c *crewClaim) Receive(in *wire.Buffer) (p wire.Part, err error) {
	if c.real != nil {
		return c.real.Receive(in)
	}
	buf := in.Take(nil)
	have := copy(buf, c.w.got)
	if !bytes.Contains(c.w.got, []byte("\n")) {
		n, again, _ := c.w.conn.Read(buf[have:])
		if again {
			return p, nil
		}
		have += n
		c.w.got = bytes.Clone(buf[:have])
		if n == 0 || have == len(buf) {
			return p, wire.ErrMustWait
		}
	}
	line, rest, whole := bytes.Cut(buf[:have], []byte("\n"))
	if !whole {
		return p, nil
	}
	a, err := parseLine(line)
	if err != nil {
		return p, err
	}
	if !isPlain(a, strings.HasPrefix(c.what, "HEAD")) {
		return p, wire.ErrMustWait
	}
	c.w.got, c.more = bytes.Clone(rest), len(rest) > 0
	p = wire.Part{Head: a, Body: [][]byte{a.Body}, End: true}
	p.Length, _ = a.Length()
	a.Body = nil
	return p, nil
}

// isPlain reports whether the loop may send an answer as it is.
func isPlain(a *wire.Answer, head bool) bool {
	length, plain := a.Length()
	switch {
	case !plain:
		return false
	case head || wire.Bodiless(a.Status):
		return len(a.Body) == 0
	}
	return length < 0 || length == int64(len(a.Body))
}

// Rest is for Python workers: the answers of others come whole.
func (c *crewClaim) Rest(ctx context.Context) (io.ReadCloser, error) {
	c.crew.rested.Add(1)
	sent := c.real
	c.real = nil
	return sent.Rest(ctx)
}

func (c *crewClaim) HasBuffered() bool { return c.more || c.real != nil && c.real.HasBuffered() }

func (c *crewClaim) Recall() bool {
	if c.real != nil {
		return c.real.Recall()
	}
	c.w.back.Add(1)
	ok := c.w.takeToken()
	if !ok {
		c.w.back.Add(-1)
	}
	return ok
}

func (c *crewClaim) CloseLine() {
	if c.real != nil {
		c.real.CloseLine()
	}
	c.crew.mu.Lock()
	defer c.crew.mu.Unlock()
	c.waited = true
}

func parseLine(line []byte) (*wire.Answer, error) {
	var a wire.Answer
	return &a, json.Unmarshal(line, &a)
}

// RoundTrip waits for the answer, to what was sent or what it sends.
func (c *crewClaim) RoundTrip(r *http.Request) (*http.Response, error) {
	c.crew.awaited.Add(1)
	if c.w.python != nil {
		sent := c.real
		c.real = nil
		return c.w.python.roundTrip(sent, r)
	}
	f, err := c.w.conn.Wait()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !c.sent {
		if c.crew.gets != nil {
			c.crew.gets(r)
		}
		if _, err := f.WriteString(r.RequestURI + "\n"); err != nil {
			return nil, fmt.Errorf("%w: %w", wire.ErrNotSent, err)
		}
		c.sent = true
	}
	deadline, _ := r.Context().Deadline()
	_ = f.SetReadDeadline(deadline)
	reader := bufio.NewReader(io.MultiReader(bytes.NewReader(c.w.got), f))
	line, err := reader.ReadBytes('\n')
	c.w.got = nil
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, context.DeadlineExceeded
	case err != nil:
		return nil, io.ErrUnexpectedEOF
	}
	a, err := parseLine(line)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: a.Status, Status: fmt.Sprintf("%d %s", a.Status, a.Reason), Header: http.Header{}, Body: inMemory{strings.NewReader(string(a.Body))}, ContentLength: -1}
	for _, f := range a.Fields {
		resp.Header.Add(f[0], f[1])
	}
	return resp, nil
}

// echo answers with the URI.
func echo(_ *crewWorker, uri string) *wire.Answer {
	return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Type", "text/plain"}}, Body: []byte(uri)}
}
