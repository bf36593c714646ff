package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// waiting returns for how many clients a part of an answer waits in the loop.
func (f *front) waiting() (n int) {
	f.loop.Inspect(func(v fastloop.View) { n = v.Waiting() })
	return n
}

// page is an answer that a narrow client does not take at once, and whose rest has room
// in the loop.
var page = strings.Repeat("0123456789", 5000)

func answersPage(w *crewWorker, uri string) *wire.Answer {
	if strings.HasPrefix(uri, "/page") {
		return &wire.Answer{Status: 200, Body: []byte(page)}
	}
	return echo(w, uri)
}

// waitsForPage has a narrow client wait for a page of which it takes nothing more.
func waitsForPage(t *testing.T, request string, change ...func(*site.Site)) (*front, *peer) {
	t.Helper()
	f := startFrontOn(t, loopback(t, 4096), newCrew(t, 1, answersPage), Options{}, change...)
	p := f.narrow(request)
	until(t, "waiting", func() bool { return f.waiting() == 1 })
	return f, p
}

// TestLoop_KeepsWhatWaits: no goroutine has the client meanwhile, and no worker.
func TestLoop_KeepsWhatWaits(t *testing.T) {
	t.Parallel()
	f, slow := waitsForPage(t, get("/page")+get("/after"))
	if !f.loop.Conns().Empty() {
		t.Error("a goroutine has the client")
	}
	f.dial(get("/other")).wantBody("/other")
	<-f.entries
	slow.wantBody(page)
	slow.wantBody("/after")
	if e := <-f.entries; e.Status != 200 || e.Bytes != int64(len(page)) || e.Took <= 0 {
		t.Errorf("logged status %d and %d bytes after %v", e.Status, e.Bytes, e.Took)
	}
	f.wantMine(slow, true)
	f.check()
	if n := f.store().InMemory(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

// TestLoop_LastAnswerWaits: the connection ends when the client has all of it.
func TestLoop_LastAnswerWaits(t *testing.T) {
	t.Parallel()
	f, p := waitsForPage(t, "GET /page HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
	ended := make(chan error, 1)
	go func() { ended <- f.Shutdown(t.Context()) }()
	until(t, "ending", f.loop.Closing)
	f.loop.Probe()
	if len(ended) > 0 {
		t.Error("the client is forgotten")
	}
	if resp := p.wantBody(page); !resp.Close {
		t.Error("got no Connection: close")
	}
	p.wantClosed()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLoop_WaitingClientLeaves is noticed, and logged with what it has taken.
func TestLoop_WaitingClientLeaves(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]func(*front, *peer){
		"disconnects": func(_ *front, p *peer) { p.Close() },
		"resets": func(_ *front, p *peer) {
			_ = p.SetLinger(0)
			p.Close()
		},
		"takes too long": func(f *front, _ *peer) {
			f.loop.Inspect(func(v fastloop.View) {
				v.LookAround(time.Now())
				if v.Waiting() != 1 {
					t.Error("its time is not up")
				}
				v.AgeOutput(2 * time.Hour)
				v.LookAround(time.Now())
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p := waitsForPage(t, get("/page"))
			leaves(f, p)
			e := <-f.entries
			if e.Status != 200 || e.Bytes <= 0 || e.Bytes >= int64(len(page)) {
				t.Errorf("logged status %d and %d bytes of %d", e.Status, e.Bytes, len(page))
			}
			until(t, "memory given back", func() bool { return f.store().InMemory() == 0 })
		})
	}
}

// TestLoop_PauseWaitsForWaitingClients: an answer that waits is under way.
func TestLoop_PauseWaitsForWaitingClients(t *testing.T) {
	t.Parallel()
	f, p := waitsForPage(t, get("/page"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.Pause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the pause to wait", err)
	}
	p.wantBody(page)
	if err := f.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Resume()
	f.wantMine(p, true)
}

// TestLoop_CountsWaitingClients: a request counts for its address until its answer is
// taken.
func TestLoop_CountsWaitingClients(t *testing.T) {
	t.Parallel()
	f, p := waitsForPage(t, get("/page"), func(s *site.Site) { s.MaxPerAddress = 1 })
	f.dial(get("/again")).wantPage(429)
	p.wantBody(page)
	until(t, "ended", func() bool { return f.site.Clients.Len() == 0 })
}

// TestLoop_NoMemoryForWhatWaits: without memory a goroutine has the client.
func TestLoop_NoMemoryForWhatWaits(t *testing.T) {
	t.Parallel()
	f := startFrontOn(t, loopback(t, 4096), newCrew(t, 1, answersPage), Options{})
	f.store().SetMax(1000)
	p := f.narrow(get("/page"))
	until(t, "handed to a goroutine", func() bool { return !f.loop.Conns().Empty() })
	p.wantBody(page)
	f.wantMine(p, true)
}
