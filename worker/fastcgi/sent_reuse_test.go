package fastcgi

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// ready waits until the descriptor is readable.
func ready(t testing.TB, fd int) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(time.Minute/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("nothing to read: %v", err)
		}
		return
	}
}

// quick sends a request and receives its answer without waiting for it.
func quick(t testing.TB, c *Client, w wire.Watcher, target string) string {
	t.Helper()
	s := c.Send(headOf(newRequest(t, "GET", target, "")), w)
	if s.Outcome() != wire.Written {
		t.Fatalf("not sent: %v", s.err)
	}
	ready(t, s.FD())
	a, err := receiveAll(s, wire.NewBuffer(4096))
	if a == nil {
		t.Fatalf("got %v, want a whole answer", err)
	}
	return string(a.Body)
}

// slow sends a request and waits for its answer.
func slow(t testing.TB, c *Client, w wire.Watcher, target string) string {
	t.Helper()
	r := newRequest(t, "GET", target, "")
	resp, err := c.Send(headOf(r), w).Await(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestSent_MixesWithWaiting uses one connection in all ways, in turn.
func TestSent_MixesWithWaiting(t *testing.T) {
	t.Parallel()
	accepted := make(chan int, 100)
	c := startWorker(t, Options{}, func(p *peer) {
		accepted <- p.n
		answerAll(p)
	})
	w := newWatching(t)
	before, most := "", 0
	for i := range 300 {
		target := "/" + strconv.Itoa(i)
		kind := []string{"quick", "slow", "round trip"}[rand.IntN(3)]
		var body string
		switch {
		case i == 0, kind == "round trip":
			kind = "round trip"
			_, body, _ = fetch(c, newRequest(t, "GET", target, ""))
		case kind == "quick":
			body = quick(t, c, w, target)
		default:
			body = slow(t, c, w, target)
		}
		if body != target {
			t.Fatalf("%s after %s: got %q, want %q", kind, before, body, target)
		}
		if before != "quick" && kind != "round trip" {
			most++
		}
		before = kind
	}
	if n := w.times(); n != most {
		t.Errorf("watched %d times, want %d: not for each quick request", n, most)
	}
	c.Close()
	w.checkNone()
	if len(accepted) != 1 {
		t.Errorf("got %d connections, want 1", len(accepted))
	}
}

func TestSent_AwaitDials(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, answerAll)
	w := newWatching(t)
	r := newRequest(t, "GET", "/first", "")
	s := c.Send(headOf(r), w)
	if s.Outcome() != wire.AwaitOnly || w.times() != 0 {
		t.Fatalf("got %v, watched %d times, want nothing sent", s.Outcome(), w.times())
	}
	resp, err := s.Await(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || string(body) != "/first" {
		t.Fatalf("got %q (%v)", body, err)
	}
	if got := quick(t, c, w, "/second"); got != "/second" {
		t.Errorf("got %q on the connection that Await dialed", got)
	}
}

func TestSent_NobodyListens(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{Socket: "absent"})
	r := newRequest(t, "GET", "/", "")
	if _, err := c.Send(headOf(r), newWatching(t)).Await(r); !errors.Is(err, wire.ErrNotSent) {
		t.Errorf("got %v, want %v", err, wire.ErrNotSent)
	}
}

// TestSent_DeadConnection finds out that a worker has gone by sending to it.
func TestSent_DeadConnection(t *testing.T) {
	t.Parallel()
	c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
	pair(t, c).Close()
	r := newRequest(t, "GET", "/", "")
	s := c.Send(headOf(r), w)
	if s.Outcome() != wire.AwaitOnly {
		t.Errorf("got %v, want nothing sent", s.Outcome())
	}
	if _, err := s.Await(r); !errors.Is(err, wire.ErrNotSent) {
		t.Errorf("got %v, want %v", err, wire.ErrNotSent)
	}
	w.checkNone()
	if n := idle(c); n != 0 {
		t.Errorf("got %d idle connections, want none", n)
	}
}

type blind struct{ wire.Watcher }

var errBlind = errors.New("too many descriptors")

func (blind) Watch(int) error { return errBlind }

func TestSent_NotWatched(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{Socket: "absent"})
	worker := pair(t, c)
	defer worker.Close()
	r := newRequest(t, "GET", "/", "")
	s := c.Send(headOf(r), blind{})
	if _, err := s.Await(r); s.Outcome() != wire.AwaitOnly || !errors.Is(err, wire.ErrNotSent) || !errors.Is(err, errBlind) {
		t.Errorf("got %v, want %v for %v", err, wire.ErrNotSent, errBlind)
	}
	wantGone(t, worker)
}

// TestSent_Deadline bounds the wait, and the connection with it.
func TestSent_Deadline(t *testing.T) {
	t.Parallel()
	c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
	worker := pair(t, c)
	defer worker.Close()
	r := newRequest(t, "GET", "/", "")
	s := c.Send(headOf(r), w)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := s.Await(r.WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	w.checkNone()
	wantGone(t, worker)
}

func TestSent_Close(t *testing.T) {
	t.Parallel()
	c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
	worker := pair(t, c)
	defer worker.Close()
	s := c.Send(headOf(newRequest(t, "GET", "/", "")), w)
	if err := s.Close(time.Time{}); err == nil { // there is no worker to come back
		t.Error("got no error")
	}
	w.checkNone()
	wantGone(t, worker)
	if n := idle(c); n != 0 {
		t.Errorf("got %d idle connections, want none", n)
	}
	if err := c.Send(headOf(newRequest(t, "GET", "/", "")), w).Close(time.Time{}); err != nil { // there was none to send it on
		t.Error(err)
	}
}

// TestSent_CloseWaits: Close waits until the worker has finished with the request, but
// not for ever.
func TestSent_CloseWaits(t *testing.T) {
	t.Parallel()
	left, asked := make(chan bool), make(chan bool)
	c := startWorker(t, Options{Threads: 2}, func(p *peer) {
		close(asked)
		<-left
		p.answerProbe()
		p.waitGone()
	})
	worker, again := pair(t, c), pair(t, c)
	defer worker.Close()
	defer again.Close()
	w := newWatching(t)
	first, second := c.Send(headOf(newRequest(t, "GET", "/", "")), w), c.Send(headOf(newRequest(t, "GET", "/", "")), w)
	closed := make(chan error, 1)
	go func() { closed <- first.Close(time.Now().Add(time.Minute)) }()
	if err := second.Close(time.Now()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	<-asked
	if len(closed) > 0 {
		t.Errorf("closed (%v) while the worker is busy", <-closed)
	}
	close(left)
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestSent_AfterClientClose: the answer arrives, and the connection is closed.
func TestSent_AfterClientClose(t *testing.T) {
	t.Parallel()
	c, w := NewClient(Options{Socket: "absent"}), newWatching(t)
	worker := pair(t, c)
	defer worker.Close()
	s := c.Send(headOf(newRequest(t, "GET", "/", "")), w)
	c.Close()
	if _, err := io.WriteString(worker, answer(1, "\nhello")); err != nil {
		t.Fatal(err)
	}
	if a, err := receiveAll(s, wire.NewBuffer(4096)); a == nil || string(a.Body) != "hello" {
		t.Fatalf("got %v (%v)", a, err)
	}
	w.checkNone()
	wantGone(t, worker)
}

// TestSent_NothingThere calls Receive when nothing has arrived.
func TestSent_NothingThere(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{Socket: "absent"})
	defer c.Close()
	worker := pair(t, c)
	defer worker.Close()
	s := c.Send(headOf(newRequest(t, "GET", "/", "")), newWatching(t))
	buf := wire.NewBuffer(4096)
	for _, piece := range []string{"", answer(1, "\nhello")[:20], "", answer(1, "\nhello")[20:]} {
		if _, err := io.WriteString(worker, piece); err != nil {
			t.Fatal(err)
		}
		a, err := receiveAll(s, buf)
		if err != nil {
			t.Fatal(err)
		}
		if a != nil && string(a.Body) == "hello" {
			return
		}
		clear(buf.Take(nil)) // it is others' meanwhile
	}
	t.Error("got no answer")
}

// wantGone reads what was sent, up to the end of the connection.
func wantGone(t *testing.T, worker *os.File) {
	t.Helper()
	if _, err := io.Copy(io.Discard, worker); err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the connection is open: %v", err)
	}
}

// TestSent_BufferFull: no event announces the rest of an answer that is in the socket.
func TestSent_BufferFull(t *testing.T) {
	t.Parallel()
	c := NewClient(Options{Socket: "absent"})
	worker := pair(t, c)
	defer worker.Close()
	s := c.Send(headOf(newRequest(t, "GET", "/", "")), newWatching(t))
	defer s.Close(time.Time{})
	if _, err := io.WriteString(worker, answer(1, "\nhello")); err != nil {
		t.Fatal(err)
	}
	if a, err := receiveAll(s, wire.NewBuffer(12)); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Errorf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
}
