package fastcgi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// withBody returns the head of a request whose body is in memory.
func withBody(r *http.Request, body string) *wire.Head {
	h := headOf(r)
	h.Body = []byte(body)
	return h
}

func patterned(size int) string {
	return strings.Repeat("0123456789abcdef", size/16+1)[:size]
}

func TestSent_Body(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, maxCopied, maxCopied + 1, maxContent - 1, maxContent, maxContent + 1, maxContent + maxCopied, 100_000, 2 * maxContent, 140_000} {
		c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
		worker := pair(t, c)
		body := patterned(size)
		for range 2 { // the second uses the write buffer of the first
			r := newRequest(t, "POST", "/", body)
			s := c.Send(withBody(r, body), w)
			if s.Outcome() != wire.Written {
				t.Fatalf("%d bytes: %v, %v, %d left", size, s.Outcome(), s.err, len(s.unsent))
			}
			p := &peer{t: t, br: bufio.NewReader(worker)}
			if got, ok := p.request(); !ok || got.stdin != body || size > 0 && got.params["CONTENT_LENGTH"] != fmt.Sprint(size) {
				t.Fatalf("%d bytes: the worker got %d and CONTENT_LENGTH %q", size, len(got.stdin), got.params["CONTENT_LENGTH"])
			}
			if _, err := io.WriteString(worker, answer(int(s.id), "\ngot it")); err != nil {
				t.Fatal(err)
			}
			if a, err := receiveAll(s, wire.NewBuffer(4096)); err != nil || a == nil || string(a.Body) != "got it" {
				t.Fatalf("%d bytes: got %v, %v", size, a, err)
			}
		}
		c.Close()
		worker.Close()
		w.checkNone()
	}
}

// TestSent_DoesNotFit: Await sends what did not fit into the socket, also while the worker
// writes an answer that does not fit either.
func TestSent_DoesNotFit(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{"body": "/", "head": "/" + strings.Repeat("x", 60_000)} {
		c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
		worker := pair(t, c)
		_ = unix.SetsockoptInt(c.idle[0].bare.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
		body, large := patterned(100_000), strings.Repeat(stdout(1, patterned(60_000)), 90)
		r := newRequest(t, "POST", uri, body)
		s := c.Send(withBody(r, body), w)
		if s.Outcome() != wire.AwaitOnly || len(s.unsent) == 0 {
			t.Fatalf("%s: got %v, %v, want a part sent", name, s.Outcome(), s.err)
		}
		done := make(chan request, 1)
		go func() {
			p := &peer{t: t, br: bufio.NewReader(worker)}
			got, _ := p.begin()
			_, _ = io.WriteString(worker, stdout(1, "\n")+large)
			got.stdin, _ = p.stream(typeStdin, 1)
			_, _ = io.WriteString(worker, stdout(1, "")+end(1))
			done <- got
		}()
		resp, err := s.Await(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || n != 90*60_000 {
			t.Errorf("%s: got %d bytes (%v)", name, n, err)
		}
		if got := <-done; got.stdin != body || got.params["REQUEST_URI"] != uri {
			t.Errorf("%s: the worker got another request with %d bytes", name, len(got.stdin))
		}
		if idle(c) != 1 {
			t.Errorf("%s: the connection was not kept", name)
		}
		c.Close()
		worker.Close()
		w.checkNone()
	}
}

// TestSent_WorkerDiesWithinTheBody: the request may have done something.
func TestSent_WorkerDiesWithinTheBody(t *testing.T) {
	t.Parallel()
	c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
	worker := pair(t, c)
	_ = unix.SetsockoptInt(c.idle[0].bare.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
	r := newRequest(t, "POST", "/", patterned(100_000))
	s := c.Send(withBody(r, patterned(100_000)), w)
	worker.Close()
	if _, err := s.Await(r); errors.Is(err, wire.ErrNotSent) || !isGone(err) {
		t.Errorf("got %v, want that the worker is gone", err)
	}
	w.checkNone()
}

func isGone(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, unix.EPIPE) }

// TestLine_FollowerDoesNotFit: it takes its token back. Otherwise the one before it,
// which the worker has begun, could be recalled with it, and be run twice.
func TestLine_FollowerDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", patterned(maxCopied)} {
		w := newBusyWorker(t, 2)
		_ = unix.SetsockoptInt(w.client.busy.bare.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
		r := newRequest(t, "POST", "/"+strings.Repeat("x", 60_000), body)
		if s := w.client.SendFollower(withBody(r, body), w.watch); s.Outcome() != wire.NoFollower {
			t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
		}
		if !w.tokens.take() { // the worker begins the second one
			t.Fatal("no token for the second request")
		}
		if w.sent[1].Recall() {
			t.Error("a request was recalled that the worker has begun")
		}
		w.client.busy.close()
	}
}

// TestLine_LargeBodyDoesNotFollow: a few would fill the socket.
func TestLine_LargeBodyDoesNotFollow(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 1)
	body := patterned(maxCopied + 1)
	if s := w.client.SendFollower(withBody(newRequest(t, "POST", "/2", body), body), w.watch); s.Outcome() != wire.NoFollower {
		t.Errorf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	if w.tokens.take() || w.client.busy.noReuse {
		t.Error("something was sent")
	}
	w.client.busy.close()
}

// TestLine_FollowerIsBegunBeforeItsEnd: the worker takes the token when it has read the
// parameters. The request is not sent to another one then, and Await sends the rest.
func TestLine_FollowerIsBegunBeforeItsEnd(t *testing.T) {
	t.Parallel()
	body := patterned(maxCopied)
	for begun := time.Now(); ; {
		w := newBusyWorker(t, 1)
		_ = unix.SetsockoptInt(w.client.busy.bare.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) // the least that there is: the parameters fit, the body does not
		took, stop := make(chan bool, 1), make(chan bool)
		go func() { took <- takeSoon(w.tokens, stop) }()
		r := newRequest(t, "POST", "/2", body)
		s := w.client.SendFollower(withBody(r, body), w.watch)
		close(stop)
		if got, want := s.Outcome(), map[bool]wire.Outcome{true: wire.Written, false: wire.NoFollower}[<-took]; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
		if s.Outcome() == wire.NoFollower {
			if time.Since(begun) > time.Minute {
				t.Fatal("the token was never taken in time")
			}
			w.client.busy.close()
			continue
		}
		w.readBehind(r, s, body)
		return
	}
}

// takeSoon waits for a token, but not longer than until stop.
func takeSoon(tokens tokens, stop chan bool) bool {
	for {
		select {
		case <-stop:
			return false
		default:
			if tokens.take() {
				return true
			}
			runtime.Gosched()
		}
	}
}

// readBehind reads both requests as a worker does, and answers them.
func (w *busyWorker) readBehind(r *http.Request, s *Sent, body string) {
	w.t.Helper()
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
	if a, err := receiveAll(s, wire.NewBuffer(4096)); a != nil || !errors.Is(err, wire.ErrMustWait) {
		w.t.Fatalf("got %v, %v, want %v", a, err, wire.ErrMustWait)
	}
	got := make(chan string, 1)
	go func() { got <- readBody(w.File, 2); _, _ = io.WriteString(w, answer(2, "\ntwo")) }()
	resp, err := s.Await(r)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || string(text) != "two" {
		w.t.Errorf("got %q (%v)", text, err)
	}
	if <-got != body {
		w.t.Error("the worker got another body")
	}
}

// readBody returns the body of request id, which others may precede.
func readBody(from *os.File, id int) string {
	p := &peer{br: bufio.NewReader(from)}
	for body := ""; ; {
		typ, got, content, err := p.record()
		switch {
		case err != nil || typ == typeStdin && got == id && content == "":
			return body
		case typ == typeStdin && got == id:
			body += content
		}
	}
}
