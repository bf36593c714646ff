package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// heads are requests that end within the head of another one. Where the last one ends
// is known but for chunks.
var heads = map[string]struct {
	first, rest string
	known       bool
}{
	"the first":                {"GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n", true},
	"behind another":           {get("/a") + "GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n", true},
	"behind another, one byte": {get("/a") + "G", "ET /b HTTP/1.1\r\nHost: site.test\r\n\r\n", true},
	"behind another, lines":    {get("/a") + "GET /b HTTP/1.1\r\nHost: site.test\r\n", "\r\n", true},
	"behind a body":            {"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nxGET /b HTTP/1.1\r\n", "Host: site.test\r\n\r\n", true},
	"behind chunks":            {chunked + "GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n", false},
	"behind chunks, one byte":  {chunked + "G", "ET /b HTTP/1.1\r\nHost: site.test\r\n\r\n", false},
	"behind chunks, lines":     {chunked + "GET /b HTTP/1.1\r\nHost: site.test\r\n", "\r\n", false},
}

const chunked = "POST /a HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"

// begin sends a request and a part of another one, and pauses.
func (f *front) begin(text string) *peer {
	f.tb.Helper()
	p := f.dial(text)
	if !strings.HasPrefix(text, "G") || strings.Contains(text, "/a") {
		p.wantBody("/a")
	}
	until(f.tb, "given away", func() bool { return !f.handed.isEmpty() })
	ctx, cancel := context.WithTimeout(f.tb.Context(), 5*time.Second)
	defer cancel()
	if err := f.Pause(ctx); err != nil {
		f.tb.Fatalf("half a head holds up the pause: %v", err)
	}
	return p
}

// TestServer_PauseWithHalfAHead neither waits for the rest of it nor reads that.
func TestServer_PauseWithHalfAHead(t *testing.T) {
	t.Parallel()
	for name, test := range heads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, newCrew(t, 2, echo), Options{})
			p := f.begin(test.first)
			f.Resume()
			if err := f.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			p.send(test.rest)
			p.wantSilence()
			f.Resume()
			p.wantBody("/b")
			f.wantMine(p, true)
		})
	}
}

// TestServer_AdoptHalfAHead goes on with it where the other server had stopped.
func TestServer_AdoptHalfAHead(t *testing.T) {
	t.Parallel()
	for name, test := range heads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := startFront(t, newCrew(t, 2, echo), Options{}), startFront(t, newCrew(t, 2, echo), Options{})
			p := before.begin(test.first)
			if !test.known {
				before.moveTo(after, 0)
				return
			}
			before.moveTo(after, 1)
			before.end()
			p.send(test.rest)
			p.wantBody("/b")
			after.wantMine(p, true)
		})
	}
}

// TestServer_PausesDoNotProlong the time for a head.
func TestServer_PausesDoNotProlong(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	f.loop.do(func() { f.http.ReadHeaderTimeout = 20 * lookAround })
	begin := time.Now()
	p := f.begin(get("/a") + "GET /b HT")
	until(t, "closed", func() bool {
		f.Resume()
		if err := f.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.handed.isEmpty()
	})
	f.Resume()
	if _, err := io.ReadAll(p.br); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it was closed after %v", took)
	}
}

func (c *census) isEmpty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy)+len(c.heads)+len(c.resting) == 0
}

// TestHanded_AfterAPause whose end came before it had read, or in which its request
// had just begun: there is time again.
func TestHanded_AfterAPause(t *testing.T) {
	t.Parallel()
	for _, state := range []http.ConnState{http.StateIdle, http.StateActive} {
		f := startFront(t, newCrew(t, 1, echo), Options{})
		near, far := tcpPair(t)
		fd, err := wire.Dup(near)
		if err != nil {
			t.Fatal(err)
		}
		h := &handed{socket: newSocket(fd, "192.0.2.1:1", "192.0.2.2:2"), loop: f.loop, heading: true, ahead: true, read: 1}
		f.handed.note(h, http.StateIdle)
		if err := h.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		f.handed.pause(true)
		if state == http.StateActive {
			f.http.ConnState(h, state)
		} else {
			f.handed.pause(false)
		}
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := h.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("%v: got %d bytes (%v)", state, n, err)
		}
		h.Close()
		f.handed.note(h, http.StateClosed)
	}
}
