package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// streaming has a client read an answer whose worker goes on until it fails to. In the
// loop, or handed over.
func streaming(t *testing.T, handedOver bool) (f *front, p *peer, resp *http.Response) {
	t.Helper()
	crew := newScripted(t, 1, func(w *scripted) bool {
		if w.says(w.stdout("\nhello")) != nil {
			return false
		}
		if handedOver { // the loop takes it for a pause
			until(t, "handed over", func() bool { return !f.loop.Conns().Empty() })
		}
		for w.says(w.stdout("more ")) == nil {
			select {
			case <-t.Context().Done():
				return false
			default:
			}
		}
		return false
	})
	f = startFront(t, crew, Options{})
	if !handedOver {
		f.delayLook(time.Hour)
	}
	p = f.dial(get("/"))
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return f, p, resp
}

// TestLoop_LeavesWithinAnAnswer: when the client leaves, the worker is given up and its
// claim ends; the answer is logged with what was sent.
func TestLoop_LeavesWithinAnAnswer(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*peer){
		"closes": func(p *peer) { p.Close() },
		"resets": func(p *peer) { _ = p.SetLinger(0); p.Close() },
	} {
		for _, handedOver := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, handed over %v", name, handedOver), func(t *testing.T) {
				t.Parallel()
				f, p, _ := streaming(t, handedOver)
				leave(p)
				if e := <-f.entries; e.Status != 200 || e.Bytes < 1000 {
					t.Errorf("logged as %d, %d bytes", e.Status, e.Bytes)
				}
				until(t, "ended", func() bool { _, _, ends := f.crew.counts(); return ends == "failed" || ends == "release" })
				until(t, "nothing is left", func() (is bool) {
					f.loop.Inspect(func(v fastloop.View) { is = v.Clients() == 0 && v.Check() == nil })
					return is && f.loop.Conns().Empty()
				})
			})
		}
	}
}

// TestLoop_HalfClosesWithinAnAnswer: the loop goes on, since the client may still read. A
// goroutine gives up, as net/http does.
func TestLoop_HalfClosesWithinAnAnswer(t *testing.T) {
	t.Parallel()
	for _, handedOver := range []bool{false, true} {
		t.Run(fmt.Sprint("handed over ", handedOver), func(t *testing.T) {
			t.Parallel()
			f, p, resp := streaming(t, handedOver)
			_ = p.CloseWrite()
			if handedOver {
				if _, err := io.Copy(io.Discard, resp.Body); err == nil {
					t.Error("the client got the end of a whole answer")
				}
				<-f.entries
				return
			}
			f.wantUnread()
			if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
				t.Errorf("the answer ends: %v", err)
			}
		})
	}
}

// answersLarge has Python workers answer in three pieces, without a length, or with one.
func answersLarge(text string) does {
	return func(_ *crewWorker, uri string) *wire.Answer {
		if !strings.HasPrefix(uri, "/large") {
			return echo(nil, uri)
		}
		a := &wire.Answer{Status: 200, Body: []byte(text), Fields: [][2]string{{"X-Pieces", "3"}}}
		if strings.HasSuffix(uri, "length") {
			a.Fields = append(a.Fields, [2]string{"Content-Length", fmt.Sprint(len(text))})
		}
		return a
	}
}

// TestLoop_SlowReadersHoldNoWorker: the worker answers others before the client has taken
// anything, and the client gets all of its answer in the end.
func TestLoop_SlowReadersHoldNoWorker(t *testing.T) {
	t.Parallel()
	text := distinct(5 << 20)
	crew := newCrewOf(t, (*crew).hirePython, 1, answersLarge(text))
	f := startFrontOn(t, loopback(t, 4096), crew, Options{})
	var slow []*peer
	for i := range 10 {
		slow = append(slow, f.narrow(get([]string{"/large", "/large/length"}[i%2])+get("/after")))
	}
	for i := range 20 {
		f.dial(get(fmt.Sprint("/", i))).wantBody(fmt.Sprint("/", i))
	}
	until(t, "released", func() bool { _, _, ends := crew.counts(); return strings.Count(ends, "release") >= 30 })
	for _, p := range slow {
		p.wantBody(text)
		p.wantBody("/after")
	}
	until(t, "given back", func() bool { return f.store().InMemory() == 0 && f.loop.Conns().Empty() })
}

// TestLoop_FollowersOfLargeAnswers: those that wait behind an answer that its client does
// not take get their own soon, and each request is begun once.
func TestLoop_FollowersOfLargeAnswers(t *testing.T) {
	t.Parallel()
	text := distinct(1 << 20)
	c := newTally((*crew).hirePython)
	pages := answersLarge(text)
	crew := newCrewOf(t, (*crew).hirePython, 2, func(w *crewWorker, uri string) *wire.Answer {
		c.does(w, uri)
		return pages(w, uri)
	})
	crew.followers = 8
	f := startFrontOn(t, loopback(t, 8192), crew, Options{}, func(s *site.Site) { s.Access = nil })
	var all sync.WaitGroup
	for i := range 8 {
		dial := f.dial
		if i%2 == 0 {
			dial = f.narrow
		}
		p := dial("")
		all.Go(func() {
			for n := range 20 {
				uri, want := fmt.Sprintf("/%d/%d", i, n), ""
				if want = uri; n%4 == 0 {
					uri, want = fmt.Sprintf("/large/%d/%d/length", i, n), text
				}
				p.send(get(uri))
				if resp, body := p.whole("GET"); resp.StatusCode != 200 || body != want {
					t.Errorf("%s: got %d and %d bytes, want %d", uri, resp.StatusCode, len(body), len(want))
					return
				}
			}
		})
	}
	all.Wait()
	c.wantOnce(t, 160, nil)
	f.check()
}

// TestLoop_PauseWaitsForAnswers: an answer of which a part has come is under way, in the
// loop and handed over.
func TestLoop_PauseWaitsForAnswers(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	for _, handedOver := range []bool{false, true} {
		t.Run(fmt.Sprint("handed over ", handedOver), func(t *testing.T) {
			t.Parallel()
			says := make(chan string)
			crew := newScripted(t, 1, func(w *scripted) bool {
				for text := range says {
					_ = w.says(w.stdout(text))
				}
				return w.says(w.end()) == nil
			})
			f := startFront(t, crew, Options{})
			f.delayLook(time.Hour)
			p := f.dial(get("/"))
			says <- "\nhello"
			resp, err := http.ReadResponse(p.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if handedOver {
				f.delayLook(0)
				f.wantDetached()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := f.Pause(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the pause to wait", err)
			}
			says <- ", world"
			close(says)
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello, world" {
				t.Errorf("got %q, %v", body, err)
			}
			if err := f.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			if conns, err := f.Idle(); err != nil || len(conns) != 1 {
				t.Errorf("got %d idle connections (%v), want the client", len(conns), err)
			}
			f.Resume()
		})
	}
}

// TestLoop_WorkerKilledWithinAnAnswer: kill -9 of a Python worker cuts the answers that it
// has not sent completely.
func TestLoop_WorkerKilledWithinAnAnswer(t *testing.T) {
	t.Parallel()
	text := distinct(8 << 20)
	crew := newCrewOf(t, (*crew).hirePython, 1, answersLarge(text))
	f := startFrontOn(t, loopback(t, 4096), crew, Options{})
	f.store().SetMax(1) // and without files that worker waits for its client
	for _, uri := range []string{"/large", "/large/length"} {
		p := f.narrow(get(uri))
		if _, err := p.br.Peek(1); err != nil {
			t.Fatal(err)
		}
		crew.mu.Lock()
		var workers []*crewWorker
		for _, claim := range crew.claims {
			workers = append(workers, claim.w)
		}
		crew.mu.Unlock()
		workers[len(workers)-1].python.kill()
		resp, err := http.ReadResponse(p.br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil && string(body) != text {
			t.Errorf("%s: got %d bytes as a whole answer", uri, len(body))
		}
		f.dial(get("/after")).wantBody("/after")
	}
}
