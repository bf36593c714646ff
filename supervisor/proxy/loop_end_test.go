package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/worker/wire"
)

// TestServer_Shutdown answers what is under way, and ends the rest.
func TestServer_Shutdown(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 3, d), Options{})
	idle, fresh, long := f.dial(get("/idle")), f.dial(""), f.dial(get("/slow/long"))
	idle.wantBody("/idle")
	<-began
	until(t, "detached", func() bool { return !f.loop.Conns().Empty() })
	quick := f.dial(get("/slow/quick"))
	<-began
	ended := make(chan error)
	go func() { ended <- f.Shutdown(t.Context()) }()
	idle.wantClosed()
	fresh.wantClosed()
	select {
	case err := <-ended:
		t.Fatalf("ended (%v) with requests under way", err)
	default:
	}
	letGo <- nil
	letGo <- nil
	for p, uri := range map[*peer]string{quick: "/slow/quick", long: "/slow/long"} {
		if resp := p.wantBody(uri); !resp.Close {
			t.Errorf("%s: got no Connection: close", uri)
		}
		p.wantClosed()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-f.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("served until %v", err)
	}
	f.served <- http.ErrServerClosed
}

// TestLoop_AnswersWhileItEnds, and says that this is the last answer.
func TestLoop_AnswersWhileItEnds(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, get("/slow"))
	f.loop.Shutdown()
	f.loop.Probe() // after that
	letGo <- nil
	if resp := p.wantBody("/slow"); !resp.Close {
		t.Error("got no Connection: close")
	}
	p.wantClosed()
	p.Close()
	<-f.loop.Done()
	if !f.loop.Conns().Empty() {
		t.Error("it was detached")
	}
}

// TestLoop_ForgetsItsListeners: after Shutdown the loop watches its listeners no
// longer, even if other processes have them open.
func TestLoop_ForgetsItsListeners(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, get("/slow"))
	f.loop.Shutdown()
	f.loop.Inspect(func(v fastloop.View) {
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", v.Epoll()))
		if n := strings.Count(string(info), "tfd:"); n > 3 || err != nil { // the bell, the client, the worker
			t.Errorf("%d descriptors are watched (%v):\n%s", n, err, info)
		}
	})
	letGo <- nil
	p.wantBody("/slow")
}

// TestServer_ShutdownWaitsForSlowClients: Shutdown waits for clients that have not yet got
// all of their answer.
func TestServer_ShutdownWaitsForSlowClients(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 9000)
	f := startFrontOn(t, loopback(t, 4096), newCrew(t, 1, func(*crewWorker, string) *wire.Answer {
		return &wire.Answer{Status: 200, Body: []byte(large)}
	}), Options{})
	p := f.narrow(get("/"))
	until(t, "given to a goroutine", func() bool { return !f.loop.Conns().Empty() })
	ended := make(chan error, 1)
	go func() { ended <- f.Shutdown(t.Context()) }()
	until(t, "ending", f.loop.Closing)
	for range 10 {
		f.loop.Probe() // it looks each time whether all is done
	}
	if len(ended) > 0 || f.loop.Conns().Empty() {
		t.Error("the client is forgotten")
	}
	p.wantBody(large)
	p.wantClosed()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServer_ShutdownGivesUp(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial(get("/slow"))
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 3*fastloop.DetachAfter) // it is in the loop first, then detached
	defer cancel()
	if err := f.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	letGo <- nil
	p.wantBody("/slow")
}

// TestServer_Close ends everything, and begins nothing that waited for a worker. The front
// checks that all claims came to an end.
func TestServer_Close(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 2, func(w *crewWorker, uri string) *wire.Answer {
		if uri == "/queued" {
			t.Error("what waited was begun")
		}
		return d(w, uri)
	}), Options{})
	peers := []*peer{f.dial(""), f.dial("GET / HT"), f.dial(get("/slow/long"))}
	<-began
	until(t, "detached", func() bool { return !f.loop.Conns().Empty() })
	peers = append(peers, f.dial(get("/slow/quick")))
	<-began
	peers = append(peers, f.dial(get("/queued")))
	until(t, "queued", func() bool { return f.crew.queued() == 1 })
	closed := make(chan bool)
	go func() {
		defer close(closed)
		f.end()
	}()
	for _, p := range peers {
		p.wantClosed()
	}
	<-closed
	close(letGo)
	until(t, "over", func() bool {
		_, _, ends := f.crew.counts()
		return f.crew.queued() == 0 && !slices.Contains(strings.Split(ends, ", "), "")
	})
}

func TestServer_NeverServed(t *testing.T) {
	t.Parallel()
	for _, end := range []func(*Server) error{(*Server).Close, func(s *Server) error { return s.Shutdown(t.Context()) }} {
		s, err := New(Options{}).NewServer()
		if err != nil {
			t.Fatal(err)
		}
		if err := end(s); err != nil {
			t.Error(err)
		}
		if err := s.Serve(loopback(t, 0)); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("got %v, want %v", err, http.ErrServerClosed)
		}
	}
}

// TestDetached_IsRefused: if net/http refuses a request that the loop had begun, the
// worker is released once.
func TestDetached_IsRefused(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	a, err := f.crew.Enqueue("GET /", nil)
	if err != nil {
		t.Fatal(err)
	}
	near, far := tcpPair(t)
	fd, err := wire.Dup(near)
	if err != nil {
		t.Fatal(err)
	}
	h := newDetachedConn(f.loop, &fastloop.Detached{
		Socket: fastloop.NewSocket(fd, "127.0.0.1:1", "127.0.0.1:2"), Head: []byte("no HTTP\r\n\r\n"),
		Pending: &fastloop.Pending{Site: f.site, Ticket: a},
	})
	f.detached.put(h)
	p := &peer{TCPConn: far, tb: t, br: bufio.NewReader(far)}
	if resp := p.answer("GET"); resp.StatusCode != 400 {
		t.Errorf("got %d", resp.StatusCode)
	}
	until(t, "given up", func() bool { _, _, ends := f.crew.counts(); return ends == "release" })
	until(t, "closed", func() bool { return h.Close() != nil })
	f.wantCounts(1, 0)
}

// TestLoop_LeavesNothing runs alone, to count descriptors and goroutines.
func TestLoop_LeavesNothing(t *testing.T) {
	before, goroutines := descriptors(t), runtime.NumGoroutine()
	t.Run("all kinds", func(t *testing.T) {
		d, began, letGo := gated()
		f := startFront(t, newCrew(t, 4, d), Options{})
		for range 20 {
			leaving, staying, post := f.dial(get("/slow")), f.dial(get("/a")), f.dial("POST /b HTTP/1.1\r\nHost: site.test\r\nTE: trailers\r\nContent-Length: 1\r\n\r\nx")
			staying.wantBody("/a")
			post.wantBody("/b")
			f.wantMine(post, true)
			<-began
			leaving.Close()
			letGo <- nil
			post.Close()
			staying.Close()
		}
		close(letGo)
	})
	until(t, "all ended", func() bool { return descriptors(t) <= before && runtime.NumGoroutine() <= goroutines })
}

func descriptors(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// TestLoop_ClosesIdleConnections, but those only.
func TestLoop_ClosesIdleConnections(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 2, d), Options{Timeouts: timeouts})
	idle, fresh, busy := f.dial(get("/idle")), f.dial(""), f.dial(get("/slow"))
	idle.wantBody("/idle")
	<-began
	until(t, "accepted", func() bool { return f.clients() >= 2 })
	look := func(ahead time.Duration) {
		f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(ahead)) })
	}
	look(timeouts.Header - 10*time.Second)
	if n := f.clients(); n != 2 {
		t.Fatalf("got %d connections, want the idle ones", n)
	}
	look(timeouts.Header + time.Second) // nobody needs that long to begin
	fresh.wantClosed()
	look(timeouts.Idle - time.Minute)
	if n := f.clients(); n != 1 {
		t.Fatalf("got %d connections, want the one between two requests", n)
	}
	look(timeouts.Idle + time.Second)
	idle.wantClosed()
	letGo <- nil
	busy.wantBody("/slow")
	f.wantMine(busy, true)
}

// clients is the number of connections that the loop has.
func (f *front) clients() (n int) {
	f.loop.Inspect(func(v fastloop.View) { n = v.Clients() })
	return n
}
