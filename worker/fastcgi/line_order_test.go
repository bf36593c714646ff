package fastcgi

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// TestLine_NoOrder: a worker that has begun the next request and does not answer the
// first costs the whole line its connection, and harms no other request.
func TestLine_NoOrder(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"dies": "", "garbage": "HTTP/1.1 200 OK\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBusyWorker(t, 3)
			for w.tokens.take() {
			}
			w.says(says)
			w.Close()
			for i, s := range w.sent {
				a, err := receiveAll(s, wire.NewBuffer(4096))
				if a != nil || !errors.Is(err, wire.ErrMustWait) || !s.HasBuffered() {
					t.Fatalf("request %d: got %v (%v), more %v, want %v and more", i+1, a, err, s.HasBuffered(), wire.ErrMustWait)
				}
				s.CloseLine()
			}
			var all sync.WaitGroup
			for i, s := range w.sent {
				all.Go(func() {
					if resp, err := s.Await(newRequest(t, "GET", "/", "")); err == nil {
						t.Errorf("request %d: got %v", i+1, resp)
					}
				})
			}
			all.Wait()
			if n, open := idle(w.client), len(w.client.open); n != 0 || open != 0 || w.client.busy != nil {
				t.Errorf("got %d idle of %d connections, want none", n, open)
			}
		})
	}
}

// TestLine_HalfARequest: after a request that did not fit into the socket the connection
// is closed, once all requests before it are answered.
func TestLine_HalfARequest(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 1)
	_ = unix.SetsockoptInt(w.client.busy.bare.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
	if s := w.client.SendFollower(headOf(newRequest(t, "GET", "/"+strings.Repeat("x", 60000), "")), w.watch); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	if s := w.send(2); s.Outcome() != wire.NoFollower {
		t.Fatal("sent behind half a request")
	}
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
	wantGone(t, w.File)
}

// TestLine_LargeAnswer is larger than the buffer, and complete since the next request has
// begun.
func TestLine_LargeAnswer(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	large := strings.Repeat("x", 20000)
	w.says(stdout(1, "\n"+large), answer(1, large), answer(2, "\ntwo"))
	w.tokens.take()
	buf := wire.NewBuffer(4096)
	if a, err := receiveAll(w.sent[0], buf); a == nil || len(a.Body) != 2*len(large) || !w.sent[0].HasBuffered() {
		t.Fatalf("got %v (%v), want all of it", a, err)
	}
	w.wantAnswer(2, "two")
}

// TestLine_PiecesOfACompleteAnswer: an answer that came in pieces is complete, since the
// next request has begun.
func TestLine_PiecesOfACompleteAnswer(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(stdout(1, "\none, "))
	buf := wire.NewBuffer(4096)
	if a, err := receiveAll(w.sent[0], buf); a != nil || err != nil {
		t.Fatalf("got %v (%v), want a part", a, err)
	}
	w.says(answer(1, "and all"))
	w.tokens.take()
	if w.sent[1].Recall() {
		t.Fatal("recalled though it has begun")
	}
	w.wantAnswer(1, "one, and all")
	w.says(answer(2, "\ntwo"))
	w.wantAnswer(2, "two")
}

// TestLine_Endless: a worker that has begun the next request and never ends its first
// answer does not occupy the loop.
func TestLine_Endless(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	for w.tokens.take() {
	}
	_ = unix.SetNonblock(int(w.Fd()), false)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(w, stdout(1, strings.Repeat("x", 60000))); err != nil {
				return
			}
		}
	}()
	ready(t, w.sent[0].FD())
	buf := wire.NewBuffer(128 << 10)
	for range 2 { // as often as the loop calls it
		if a, err := receiveAll(w.sent[0], buf); a != nil || !errors.Is(err, wire.ErrMustWait) && err != nil {
			t.Fatalf("got %v (%v)", a, err)
		}
	}
	w.sent[0].CloseLine()
	if _, err := w.sent[1].Await(newRequest(t, "GET", "/2", "")); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v: these are records of the first answer", err, ErrMalformed)
	}
	<-done
}

func TestLine_WorkerDies(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.Close()
	if a, err := receiveAll(w.sent[0], wire.NewBuffer(4096)); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Fatalf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
	if !w.sent[1].Recall() {
		t.Error("it was not begun, and not recalled")
	}
	if _, err := w.sent[0].Await(newRequest(t, "GET", "/1", "")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// TestLine_NoFollowersWithoutTokens: a worker that does not use tokens has one request at
// a time.
func TestLine_NoFollowersWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 1)
	w.client.busy.followers = false
	if s := w.send(2); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
}

// TestLine_MaxLine: no id is in use twice.
func TestLine_MaxLine(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, maxLine)
	if s := w.send(maxLine + 1); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	for n := range maxLine {
		w.says(answer(n+1, "\nhello"))
		w.wantAnswer(n+1, "hello")
	}
}

// TestLine_FollowerTakesNoIdleConnection: idle connections are for heads of lines.
func TestLine_FollowerTakesNoIdleConnection(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 0)
	if s := w.client.SendFollower(headOf(newRequest(t, "GET", "/2", "")), w.watch); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	r := newRequest(t, "GET", "/2", "")
	if _, err := w.client.SendFollower(headOf(r), w.watch).Await(r); !errors.Is(err, wire.ErrNotSent) {
		t.Fatalf("got %v, want %v: the caller asks for another worker then", err, wire.ErrNotSent)
	}
	if s := w.send(1); s.Outcome() != wire.Written {
		t.Fatal("the follower took its connection")
	}
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
}

// TestLine_Greeting passes the tokens to a worker that says whether it uses them.
func TestLine_Greeting(t *testing.T) {
	t.Parallel()
	for _, uses := range []bool{true, false} {
		taken := make(chan bool, 1)
		c := startWorker(t, Options{Packed: true}, func(p *peer) {
			var in, oob [512]byte
			_, n, _, _, err := p.Conn.(*net.UnixConn).ReadMsgUnix(in[:], oob[:])
			if err != nil {
				t.Error(err)
				return
			}
			value := ""
			if uses {
				value = "1"
			}
			p.send(rec(typeGetValuesResult, 0, string(appendPair(nil, followersName, value)), 0))
			messages, _ := unix.ParseSocketControlMessage(oob[:n])
			fds, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				t.Error(err)
				return
			}
			p.waitGone()
			taken <- tokens(fds[0]).take()
			unix.Close(fds[0])
		})
		if err := c.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.idle[0].followers; got != uses {
			t.Errorf("accepts followers: %v, want %v", got, uses)
		}
		if err := c.idle[0].tokens.add(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if !<-taken {
			t.Error("the worker did not see the token")
		}
	}
}
