package fastcgi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

func TestClient_KeepsConnection(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, answerAll)
	for range 600 { // more than there are request ids
		resp, body, err := fetch(c, newRequest(t, "GET", "/page", ""))
		if err != nil || body != "/page" || resp.Header.Get("Connection-Number") != "1" {
			t.Fatalf("got %+v %q (%v), want the answer from the first connection", resp, body, err)
		}
	}
}

// TestClient_FreesConnectionEarly has the next request sent on the one
// connection while the first, small answer is not read yet.
func TestClient_FreesConnectionEarly(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, answerAll)
	first, err := c.RoundTrip(newRequest(t, "GET", "/first", ""))
	if err != nil || !first.Body.(*Body).Complete() {
		t.Fatalf("got %+v (%v), want a complete answer", first, err)
	}
	second, body, err := fetch(c, newRequest(t, "GET", "/second", ""))
	if err != nil || body != "/second" || second.Header.Get("Connection-Number") != "1" {
		t.Errorf("got %+v %q (%v), want the second answer from the same connection", second, body, err)
	}
	if body, err := io.ReadAll(first.Body); err != nil || string(body) != "/first" {
		t.Errorf("got %q (%v), want the first answer still", body, err)
	}
	if err := errors.Join(first.Body.Close(), first.Body.Close()); err != nil {
		t.Error(err)
	}
}

func TestClient_TwoRequestsTwoConnections(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	c := startWorker(t, Options{Threads: 2}, func(p *peer) {
		r, _ := p.request()
		both.Done()
		both.Wait() // neither is answered before both are here
		p.send(answer(r.id, "\n"))
		p.waitGone()
	})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := idle(c); n != 2 {
		t.Errorf("got %d idle connections, want 2", n)
	}
}

// TestClient_NeverMoreConnectionsThanThreads: a request too many, which the caller must
// not send, would wait for a thread that has another connection.
func TestClient_NeverMoreConnectionsThanThreads(t *testing.T) {
	t.Parallel()
	for threads := range 3 {
		var log strings.Builder
		begun, answerNow := make(chan bool), make(chan bool)
		c := startWorker(t, Options{Threads: threads, Log: slog.New(slog.NewTextHandler(&log, nil))}, func(p *peer) {
			for {
				r, ok := p.request()
				if !ok {
					return
				}
				begun <- true
				<-answerNow
				p.send(answer(r.id, "\n"))
			}
		})
		most := max(threads, 1)
		var all sync.WaitGroup
		for range most {
			all.Go(func() {
				if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil {
					t.Error(err)
				}
			})
			<-begun
		}
		for name, err := range map[string]error{"Probe": c.Probe(t.Context()), "RoundTrip": errOf(c.RoundTrip(newRequest(t, "POST", "/", "")))} {
			if !errors.Is(err, errTooMany) || errors.Is(err, wire.ErrNotSent) != (name == "RoundTrip") {
				t.Errorf("%d threads, %s: got %v, want %v", threads, name, err, errTooMany)
			}
		}
		if n := strings.Count(log.String(), "more requests at once than the worker has threads"); n != 2 {
			t.Errorf("got %d lines in the log, want 2:\n%s", n, &log)
		}
		close(answerNow)
		all.Wait()
		go func() { <-begun }()
		if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil || idle(c) != most || len(c.open) != most {
			t.Errorf("%d threads: got %v, %d idle of %d connections afterwards", threads, err, idle(c), len(c.open))
		}
		c.Close()
		if len(c.open) != 0 {
			t.Errorf("%d connections are counted that are closed", len(c.open))
		}
	}
}

func errOf(_ *http.Response, err error) error { return err }

// TestClient_StreamsBody reads each part before the worker sends the next.
func TestClient_StreamsBody(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	c := startWorker(t, Options{}, func(p *peer) {
		r, _ := p.request()
		p.send(stdout(r.id, "\n"))
		for _, part := range []string{"one", "two"} {
			<-next
			p.send(stdout(r.id, part))
		}
		<-next
		p.send(stdout(r.id, ""), end(r.id))
		p.waitGone()
	})
	resp, err := c.RoundTrip(newRequest(t, "GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	body := resp.Body.(*Body)
	if body.Complete() {
		t.Error("got a body before the worker sent one")
	}
	for _, want := range []string{"one", "two"} {
		next <- struct{}{}
		part := make([]byte, 3)
		if _, err := io.ReadFull(body, part); err != nil || string(part) != want {
			t.Fatalf("got %q (%v), want %q", part, err, want)
		}
	}
	next <- struct{}{}
	if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF || !body.Complete() {
		t.Errorf("got %d, %v, want the end", n, err)
	}
}

func TestClient_NotSent(t *testing.T) {
	t.Parallel()
	t.Run("no socket", func(t *testing.T) {
		t.Parallel()
		c := NewClient(Options{Socket: filepath.Join(t.TempDir(), "w.sock")})
		_, err := c.RoundTrip(newRequest(t, "POST", "/", "hello"))
		if !errors.Is(err, wire.ErrNotSent) || !strings.Contains(err.Error(), "w.sock") {
			t.Errorf("got error %v, want %v with the socket's name", err, wire.ErrNotSent)
		}
	})
	t.Run("idle connection closed", func(t *testing.T) {
		t.Parallel()
		closed := make(chan struct{})
		c := startWorker(t, Options{}, func(p *peer) {
			if p.n > 1 {
				answerAll(p)
				return
			}
			r, _ := p.request()
			p.send(answer(r.id, "\n"))
			p.Close()
			close(closed)
		})
		if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil {
			t.Fatal(err)
		}
		<-closed
		_, err := c.RoundTrip(newRequest(t, "POST", "/", "hello"))
		if !errors.Is(err, wire.ErrNotSent) {
			t.Errorf("got error %v, want %v", err, wire.ErrNotSent)
		}
		if _, body, err := fetch(c, newRequest(t, "POST", "/again", "hello")); err != nil || body != "/again" {
			t.Errorf("got %q (%v), want an answer from a new connection", body, err)
		}
	})
	t.Run("request body fails", func(t *testing.T) {
		t.Parallel()
		c := startWorker(t, Options{}, func(p *peer) { p.waitGone() })
		r := newRequest(t, "POST", "/", "hello")
		r.Body = io.NopCloser(errorReader{})
		if _, err := c.RoundTrip(r); !errors.Is(err, wire.ErrNotSent) || !strings.Contains(err.Error(), "disk gone") {
			t.Errorf("got error %v, want %v with its cause", err, wire.ErrNotSent)
		}
	})
	t.Run("worker dies after it", func(t *testing.T) {
		t.Parallel()
		c := startWorker(t, Options{}, func(p *peer) { _, _ = p.request() })
		_, err := c.RoundTrip(newRequest(t, "GET", "/", ""))
		if errors.Is(err, wire.ErrNotSent) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got error %v, want %v", err, io.ErrUnexpectedEOF)
		}
	})
}

// TestClient_WorkerDiesUnread closes the worker's end with the request unread, which the
// kernel reports as a reset.
func TestClient_WorkerDiesUnread(t *testing.T) {
	t.Parallel()
	for _, records := range []string{"", stdout(1, "\nhello")} {
		c := startWorker(t, Options{}, func(p *peer) {
			_, _ = p.Read(make([]byte, 1))
			p.send(records)
		})
		_, _, err := fetch(c, newRequest(t, "GET", "/", ""))
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, wire.ErrNotSent) {
			t.Errorf("got error %v, want %v", err, io.ErrUnexpectedEOF)
		}
	}
}

func TestClient_Close(t *testing.T) {
	t.Parallel()
	gone, answerNow := make(chan int, 2), make(chan struct{})
	c := startWorker(t, Options{Threads: 2}, func(p *peer) {
		r, _ := p.request()
		if r.params["REQUEST_URI"] == "/slow" {
			p.send(stdout(r.id, "\n"))
			<-answerNow
			p.send(end(r.id))
		} else {
			p.send(answer(r.id, "\n"))
		}
		p.waitGone()
		gone <- p.n
	})
	slow, err := c.RoundTrip(newRequest(t, "GET", "/slow", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := <-gone; n != 2 {
		t.Errorf("connection %d was closed, want the idle one", n)
	}
	close(answerNow)
	if _, err := io.ReadAll(slow.Body); err != nil {
		t.Errorf("got %v of the running request, want its answer", err)
	}
	if n := <-gone; n != 1 {
		t.Errorf("connection %d was closed, want the one whose request ended", n)
	}
}

// TestBody_CloseWaitsForWorker abandons an answer: Close returns when the worker
// serves a new connection.
func TestBody_CloseWaitsForWorker(t *testing.T) {
	t.Parallel()
	var left atomic.Bool
	c := startWorker(t, Options{}, func(p *peer) {
		if p.n == 1 {
			r, _ := p.request()
			p.send(stdout(r.id, "\nhello"))
			p.waitGone()
			return
		}
		if typ, _, _, err := p.record(); err != nil || typ != typeGetValues {
			t.Errorf("got record type %d (%v), want FCGI_GET_VALUES", typ, err)
		}
		left.Store(true)
		p.send(rec(typeGetValuesResult, 0, "", 0))
		answerAll(p)
	})
	resp, err := c.RoundTrip(newRequest(t, "GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || !left.Load() {
		t.Errorf("got %v, worker left %v, want nil after the worker left the request", err, left.Load())
	}
	resp, body, err := fetch(c, newRequest(t, "GET", "/next", ""))
	if err != nil || body != "/next" || resp.Header.Get("Connection-Number") != "2" {
		t.Errorf("got %+v %q (%v), want the next answer from the probed connection", resp, body, err)
	}
}

func TestBody_CloseReportsABusyWorker(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, func(p *peer) {
		if p.n == 1 {
			r, _ := p.request()
			p.send(stdout(r.id, "\nhello"))
		}
		<-t.Context().Done() // never reads the new connection
	})
	r := newRequest(t, "GET", "/", "")
	ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := c.RoundTrip(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); !errors.Is(err, context.DeadlineExceeded) || idle(c) != 0 {
		t.Errorf("got %v and %d idle connections, want %v and none", err, idle(c), context.DeadlineExceeded)
	}
}
