package proxy

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// heads are requests that end within the head of another one.
var heads = map[string]struct{ first, rest string }{
	"the first":                {"GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n"},
	"behind another":           {get("/a") + "GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n"},
	"behind another, one byte": {get("/a") + "G", "ET /b HTTP/1.1\r\nHost: site.test\r\n\r\n"},
	"behind another, lines":    {get("/a") + "GET /b HTTP/1.1\r\nHost: site.test\r\n", "\r\n"},
	"behind a body":            {"POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nxGET /b HTTP/1.1\r\n", "Host: site.test\r\n\r\n"},
	"behind chunks":            {chunked + "GET /b HT", "TP/1.1\r\nHost: site.test\r\n\r\n"},
	"behind chunks, one byte":  {chunked + "G", "ET /b HTTP/1.1\r\nHost: site.test\r\n\r\n"},
	"behind chunks, lines":     {chunked + "GET /b HTTP/1.1\r\nHost: site.test\r\n", "\r\n"},
}

const chunked = "POST /a HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"

// begin sends a request and a part of another one, and pauses.
func (f *front) begin(text string) *peer {
	f.tb.Helper()
	p := f.dial(text)
	if !strings.HasPrefix(text, "G") || strings.Contains(text, "/a") {
		p.wantBody("/a")
	}
	until(f.tb, "kept", func() bool { return f.kept() == 1 })
	ctx, cancel := context.WithTimeout(f.tb.Context(), 5*time.Second)
	defer cancel()
	if err := f.Pause(ctx); err != nil {
		f.tb.Fatalf("half a head holds up the pause: %v", err)
	}
	return p
}

// kept is the number of connections with half a head.
func (f *front) kept() (n int) {
	f.loop.Inspect(func(v fastloop.View) { n = v.HalfHeads() + v.HalfBodies() })
	return n
}

// TestServer_PauseWithHalfAHead: a pause neither waits for the rest of a head nor reads
// it.
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
	plainOnly(t)
	t.Parallel()
	for name, test := range heads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := startFront(t, newCrew(t, 2, echo), Options{}), startFront(t, newCrew(t, 2, echo), Options{})
			p := before.begin(test.first)
			before.moveTo(after, 1)
			before.end()
			p.send(test.rest)
			p.wantBody("/b")
			after.wantMine(p, true)
		})
	}
}

// TestServer_PausesDoNotProlong: pauses do not prolong the time that a client has for a
// head.
func TestServer_PausesDoNotProlong(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{Timeouts: Timeouts{Header: time.Second}})
	p := f.begin(get("/a") + "GET /b HT")
	until(t, "closed", func() bool {
		f.Resume()
		if err := f.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.clients() == 0
	})
	f.Resume()
	if _, err := io.ReadAll(p.br); err != nil {
		t.Error(err)
	}
}
