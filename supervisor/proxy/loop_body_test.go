package proxy

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// largestBody is that of a request that the loop answers.
const largestBody = 128 << 10

// postOf is a request whose body differs from that of every other URI and size.
func postOf(uri string, size int) (request, body string) {
	body = strings.Repeat(uri+" ", size/(len(uri)+1)+1)[:size]
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n%s", uri, size, body), body
}

// wantDigest reads an answer of connection.py to a request with that body.
func (p *peer) wantDigest(uri, body string) {
	p.tb.Helper()
	want := ""
	if body != "" {
		want = fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
	}
	if got := p.wantBody(uri).Header.Get("X-Body"); got != want {
		p.tb.Fatalf("%s: the worker got another body of %d bytes", uri, len(body))
	}
}

// TestLoop_Bodies: workers get bodies of all sizes, in whatever pieces they arrive and with
// whatever follows them, and every answer reaches its request.
func TestLoop_Bodies(t *testing.T) {
	t.Parallel()
	c := newCrewOf(t, (*crew).hirePython, 2, echo)
	c.followers = 4
	c.sees = func(h *wire.Head) {
		if h.Method != "POST" {
			t.Errorf("got a method %s", h.Method)
		}
	}
	f := startFront(t, c, Options{})
	done := make(chan bool)
	for n := range 6 {
		go func() {
			defer func() { done <- true }()
			p := f.dial("")
			for round := range 20 {
				text, bodies := "", map[string]string{}
				var uris []string
				for i := range 1 + rand.IntN(3) {
					uri := fmt.Sprintf("/%d/%d/%d", n, round, i)
					request, body := postOf(uri, []int{0, 1, 100, 4096, 4097, 20_000, 100_000, largestBody, largestBody + 1, 300_000}[rand.IntN(10)])
					text += request
					bodies[uri], uris = body, append(uris, uri)
				}
				go func() {
					for text != "" {
						size := min(1+rand.IntN([]int{50, 5000, 500_000}[rand.IntN(3)]), len(text))
						p.send(text[:size])
						text = text[size:]
					}
				}()
				for _, uri := range uris {
					p.wantDigest(uri, bodies[uri])
				}
			}
		}()
	}
	for range 6 {
		<-done
	}
	until(t, "all memory given back", func() bool { return f.store().InMemory() == 0 })
}

// halfPost sends a request but for the end of its body, and waits until the loop has it.
func (f *front) halfPost(uri string, size int) (p *peer, rest, body string) {
	f.tb.Helper()
	request, body := postOf(uri, size)
	p = f.dial(request[:len(request)-1])
	until(f.tb, "half a body", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = v.HalfBodies() == 1 })
		return is
	})
	return p, request[len(request)-1:], body
}

// TestLoop_HalfABody: whatever happens while the loop waits for a body, the request is
// answered once all of it is here.
func TestLoop_HalfABody(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		during         func(f *front)
		asked, claimed int
	}{
		"nothing": {func(*front) {}, 1, 0},
		"it takes more than a moment": {func(f *front) {
			f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(fastloop.DetachAfter * 2)) })
		}, 1, 0},
		"it takes long": {func(f *front) {
			f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(2 * time.Second)) })
			f.wantDetached()
		}, 0, 1},
		"a second request of the address": {func(f *front) { f.dial(get("/b")).wantStatus(http.StatusTooManyRequests) }, 1, 0},
		"shutdown": {func(f *front) {
			go func() { _ = f.Shutdown(f.tb.Context()) }() // returns when the request is answered
			until(f.tb, "closing", f.loop.Closing)
		}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) { s.MaxPerAddress = 1 })
			p, rest, body := f.halfPost("/a", 1000)
			if n := f.store().InMemory(); n != 4<<10+1 {
				t.Errorf("%d bytes are in use for a body of 1000, want a block of 4 KB", n)
			}
			var got atomic.Pointer[string]
			f.loop.Inspect(func(fastloop.View) {
				f.crew.sees = func(h *wire.Head) { text := string(h.Body); got.Store(&text) }
			})
			test.during(f)
			p.send(rest)
			p.wantBody("/a")
			f.wantCounts(test.asked, test.claimed)
			if test.asked == 1 && *got.Load() != body {
				t.Error("the worker got another body")
			}
			until(t, "all memory given back", func() bool { return f.store().InMemory() == 0 })
		})
	}
}

// TestServer_PauseWaitsForABody that has begun: the request is answered, and only then is
// the server paused.
func TestServer_PauseWaitsForABody(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	p, rest, _ := f.halfPost("/a", 1000)
	paused := make(chan error)
	go func() { paused <- f.Pause(t.Context()) }()
	until(t, "pausing", f.isPaused)
	p.send(rest + get("/b"))
	p.wantBody("/a")
	if err := <-paused; err != nil {
		t.Fatal(err)
	}
	f.wantCounts(1, 0)
	p.wantSilence()
	f.Resume()
	p.wantBody("/b")
}

// TestLoop_ClientLeavesWithinABody: nothing is sent to a worker.
func TestLoop_ClientLeavesWithinABody(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(p *peer){
		"closes":      func(p *peer) { p.Close() },
		"resets":      func(p *peer) { _ = p.SetLinger(0); p.Close() },
		"half-closes": func(p *peer) { _ = p.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, newCrew(t, 1, echo), Options{})
			p, _, _ := f.halfPost("/a", 1000)
			leave(p)
			if e := <-f.entries; e.Status != site.StatusClientGone || e.Line != "POST /a HTTP/1.1" {
				t.Errorf("logged %+v", e)
			}
			f.wantCounts(0, 0)
		})
	}
}

// TestLoop_LimitsOfBodies: net/http refuses a body that is too large for the site, and
// takes one for which there is no memory.
func TestLoop_LimitsOfBodies(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) { s.MaxBody = 2000 })
	exact, _ := postOf("/exact", 2000)
	f.dial(exact).wantBody("/exact")
	over, _ := postOf("/over", 2001)
	f.dial(over).wantStatus(http.StatusRequestEntityTooLarge)
	f.wantCounts(1, 0)
	f.store().SetMax(1999)
	f.dial(exact).wantBody("/exact")
	f.wantCounts(1, 1)
}

// TestLoop_RepeatsOnlyIdempotentRequests: a worker may have done what it was sent.
func TestLoop_RepeatsOnlyIdempotentRequests(t *testing.T) {
	t.Parallel()
	eachWorker(t, func(t *testing.T, hire hires) {
		for method, want := range map[string]int{"POST": http.StatusBadGateway, "PATCH": http.StatusBadGateway, "PROPFIND": http.StatusBadGateway,
			"PUT": http.StatusOK, "DELETE": http.StatusOK} {
			var begun atomic.Int32
			f := startFront(t, newCrewOf(t, hire, 1, func(w *crewWorker, uri string) *wire.Answer {
				if begun.Add(1) == 1 {
					return nil
				}
				return echo(w, uri)
			}), Options{})
			p := f.dial(method + " /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello")
			if resp, _ := p.whole(method); resp.StatusCode != want {
				t.Errorf("%s: got %d, want %d", method, resp.StatusCode, want)
			}
			if n := begun.Load(); n != map[int]int32{http.StatusOK: 2, http.StatusBadGateway: 1}[want] {
				t.Errorf("%s was begun %d times", method, n)
			}
		}
	})
}

// TestLoop_DetachesASlowPost: net/http waits for the answer to what the loop has sent, and
// goes on with what came behind the body.
func TestLoop_DetachesASlowPost(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 5000, largestBody} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			d, began, letGo := gated()
			f := startFront(t, newCrew(t, 1, d), Options{})
			request, _ := postOf("/slow", size)
			p := f.dial(request + get("/next"))
			<-began
			f.wantDetached()
			letGo <- nil
			p.wantBody("/slow")
			p.wantBody("/next")
			f.wantMine(p, true)
			if len(began) > 0 {
				t.Error("it was sent twice")
			}
		})
	}
}
