package fastcgi

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// busyWorker is our own worker with requests /1, /2 and so on, sent ahead.
type busyWorker struct {
	*os.File
	t      *testing.T
	client *Client
	watch  *watching
	tokens tokens
	sent   []*Sent
}

func newBusyWorker(t *testing.T, requests int) *busyWorker {
	t.Helper()
	c := NewClient(Options{Socket: "absent"})
	w := &busyWorker{File: pair(t, c), t: t, client: c, watch: newWatching(t)}
	var err error
	if w.tokens, err = newTokens(); err != nil {
		t.Fatal(err)
	}
	c.idle[0].tokens, c.idle[0].followers = w.tokens, true
	t.Cleanup(func() { c.Close(); w.Close(); w.watch.checkNone() })
	for i := range requests {
		if s := w.send(i + 1); s.Outcome() != wire.Written {
			t.Fatalf("request %d was not sent: %v", i+1, s.err)
		}
	}
	return w
}

func (w *busyWorker) send(n int) *Sent {
	send := w.client.SendFollower
	if idle(w.client) > 0 {
		send = w.client.Send
	}
	s := send(headOf(newRequest(w.t, "GET", "/"+strconv.Itoa(n), "")), w.watch)
	w.sent = append(w.sent, s)
	return s
}

func (w *busyWorker) says(records ...string) {
	w.t.Helper()
	if _, err := io.WriteString(w, strings.Join(records, "")); err != nil {
		w.t.Fatal(err)
	}
}

// wantAnswer takes the answer to request n.
func (w *busyWorker) wantAnswer(n int, body string) *Sent {
	w.t.Helper()
	s := w.sent[n-1]
	a, err := s.Receive(make([]byte, 4096))
	if a == nil || string(a.Body) != body {
		w.t.Fatalf("request %d: got %v (%v), want %q", n, a, err, body)
	}
	return s
}

// wantAwaited waits for the answer to request n.
func (w *busyWorker) wantAwaited(n int, body string) {
	w.t.Helper()
	resp, err := w.sent[n-1].Await(newRequest(w.t, "GET", "/"+strconv.Itoa(n), ""))
	if err != nil {
		w.t.Fatalf("request %d: %v", n, err)
	}
	got, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || string(got) != body {
		w.t.Fatalf("request %d: got %.100q (%v), want %.100q", n, got, err, body)
	}
}

func passedOver(id int) string {
	return rec(typeEndRequest, id, "\x00\x00\x00\x00\x02\x00\x00\x00", 0)
}

// flags are those of the requests that were sent.
func (w *busyWorker) flags() (all []byte) {
	w.t.Helper()
	sent := make([]byte, 64<<10)
	n, err := w.Read(sent)
	if err != nil {
		w.t.Fatal(err)
	}
	for sent = sent[:n]; len(sent) > 0; {
		if sent[1] == typeBeginRequest {
			all = append(all, sent[headerSize+2])
		}
		sent = sent[headerSize+int(binary.BigEndian.Uint16(sent[4:]))+int(sent[6]):]
	}
	return all
}

func TestAhead_AnswersInOrder(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 3)
	for range 2 { // for all but the first
		if !w.tokens.take() {
			t.Fatal("got no token for each request that was sent ahead")
		}
	}
	if w.tokens.take() {
		t.Error("got a token too many")
	}
	w.says(answer(1, "\none"), answer(2, "\ntwo"), answer(3, "\nthree")[:20])
	if s := w.wantAnswer(1, "one"); !s.HasBuffered() {
		t.Error("the second answer was read, and no word of it")
	}
	w.wantAnswer(2, "two")
	if a, err := w.sent[2].Receive(make([]byte, 4096)); a != nil || err != nil {
		t.Fatalf("got %v (%v) of a part", a, err)
	}
	w.says(answer(3, "\nthree")[20:])
	if s := w.wantAnswer(3, "three"); s.HasBuffered() {
		t.Error("there is more, says the last one")
	}
	if n := idle(w.client); n != 1 || w.watch.times() != 1 {
		t.Errorf("got %d idle connections, watched %d times, want the one again", n, w.watch.times())
	}
	if got := w.flags(); string(got) != "\x01\x81\x81" {
		t.Errorf("got flags %x", got)
	}
}

// TestAhead_TakenBack: what was taken back is passed over, wherever the word of that
// is cut, and nothing goes ahead before.
func TestAhead_TakenBack(t *testing.T) {
	t.Parallel()
	words := passedOver(2) + passedOver(3)
	for cut := range len(words) {
		w := newBusyWorker(t, 3)
		for _, n := range []int{3, 2} {
			if !w.sent[n-1].Recall() {
				t.Fatalf("%d was not taken back", n)
			}
		}
		if w.sent[0].Recall() || w.tokens.take() {
			t.Fatal("the first one can not be taken back, and has no token")
		}
		w.says(answer(1, "\none"), words[:cut])
		w.wantAnswer(1, "one")
		if s := w.send(4); s.Outcome() != wire.Written {
			t.Fatalf("not sent: %v", s.err)
		}
		if s := w.send(5); s.Outcome() == wire.Written && cut < len(words) {
			t.Fatal("sent ahead of what is to be passed over")
		}
		w.says(words[cut:], answer(4, "\nfour"))
		w.wantAnswer(4, "four")
		w.client.Close()
	}
}

// TestAhead_TakenBackIsPassedOverByWhoWaits: the answer to the next request is waited for
// while the worker is yet to say that it passes over others.
func TestAhead_TakenBackIsPassedOverByWhoWaits(t *testing.T) {
	t.Parallel()
	words := passedOver(2) + passedOver(3) + answer(4, "\nfour")
	for cut := range len(words) {
		w := newBusyWorker(t, 3)
		for _, n := range []int{3, 2} {
			w.sent[n-1].Recall()
		}
		w.says(answer(1, "\none"))
		w.wantAnswer(1, "one")
		s := w.send(4)
		w.says(words[:cut])
		if a, err := s.Receive(make([]byte, 4096)); a != nil {
			t.Fatalf("got %v (%v) of a part", a, err)
		}
		w.says(words[cut:])
		w.wantAwaited(4, "four")
		w.client.Close()
	}
}

func TestAhead_BegunIsNotTakenBack(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 3)
	w.says(answer(1, "\none"))
	if !w.tokens.take() {
		t.Fatal("no token")
	}
	if !w.sent[2].Recall() || w.sent[1].Recall() {
		t.Error("want the third one, which was not begun, and not the second")
	}
	w.wantAnswer(1, "one")
	w.says(answer(2, "\ntwo"))
	w.wantAnswer(2, "two")
}

// TestAhead_NoSimpleAnswer is for who waits; those behind it do not wait with it.
func TestAhead_NoSimpleAnswer(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(answer(1, "Upgrade: websocket\n\none"), answer(2, "\ntwo"))
	if a, err := w.sent[0].Receive(make([]byte, 4096)); a != nil || !errors.Is(err, wire.ErrNotSimple) || !w.sent[0].HasBuffered() {
		t.Fatalf("got %v (%v), want %v and more", a, err, wire.ErrNotSimple)
	}
	w.wantAnswer(2, "two")
	w.wantAwaited(1, "one")
	if n := idle(w.client); n != 1 {
		t.Errorf("got %d idle connections, want 1", n)
	}
}

// TestAhead_InPieces: who waits for an answer is alone on the connection.
func TestAhead_InPieces(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(stdout(1, "\none, "))
	if a, err := w.sent[0].Receive(make([]byte, 4096)); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Fatalf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
	if !w.sent[1].Recall() {
		t.Fatal("not taken back")
	}
	w.sent[0].CloseLine()
	if s := w.send(3); s.Outcome() == wire.Written {
		t.Fatal("sent behind one that is waited for")
	}
	w.says(answer(1, "in pieces"), passedOver(2))
	w.wantAwaited(1, "one, in pieces")
	w.send(4)
	w.says(answer(3, "\nfour"))
	w.wantAnswer(4, "four")
}

// TestAhead_RestsBeforeWhatIsPassedOver: whoever has the next request on a connection
// reads past what the worker has yet to say of those that were taken back.
func TestAhead_RestsBeforeWhatIsPassedOver(t *testing.T) {
	t.Parallel()
	words := passedOver(2) + passedOver(3)
	for name, next := range map[string]func(w *busyWorker){
		"Receive": func(w *busyWorker) { w.send(4); w.wantAnswer(4, "four") },
		"Await":   func(w *busyWorker) { w.send(4); w.wantAwaited(4, "four") },
		"RoundTrip": func(w *busyWorker) {
			if _, body, err := fetch(w.client, newRequest(t, "POST", "/4", "")); err != nil || body != "four" {
				t.Fatalf("got %q (%v)", body, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for cut := range len(words) + 1 {
				w := newBusyWorker(t, 3)
				for _, n := range []int{3, 2} {
					w.sent[n-1].Recall()
				}
				w.says(answer(1, "\none"), words[:cut])
				w.wantAwaited(1, "one")
				w.says(words[cut:], answer(4, "\nfour"))
				next(w)
				if n := idle(w.client); n != 1 {
					t.Fatalf("cut at %d: got %d idle connections, want the one again", cut, n)
				}
				w.client.Close()
			}
		})
	}
}

// TestAhead_NoOrder: a worker that has begun the next request and does not answer the
// first spoils the connection for all in line, and harms nobody else.
func TestAhead_NoOrder(t *testing.T) {
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
				a, err := s.Receive(make([]byte, 4096))
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

// TestAhead_HalfARequest: what did not fit ends with the connection, once all before it
// are answered.
func TestAhead_HalfARequest(t *testing.T) {
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

// TestAhead_LargeAnswer: more than the buffer holds, and whole since the next has begun.
func TestAhead_LargeAnswer(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	large := strings.Repeat("x", 20000)
	w.says(stdout(1, "\n"+large), answer(1, large), answer(2, "\ntwo"))
	w.tokens.take()
	buf := make([]byte, 4096)
	if a, err := w.sent[0].Receive(buf); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Fatalf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
	if w.sent[1].Recall() {
		t.Fatal("taken back though it has begun")
	}
	if a, err := w.sent[0].Receive(buf); a == nil || len(a.Body) != 2*len(large) || !w.sent[0].HasBuffered() {
		t.Fatalf("got %v (%v), want all of it", a, err)
	}
	w.wantAnswer(2, "two")
}

// TestAhead_PiecesOfOneThatHasEnded: an answer that came in pieces is here as a whole,
// since the next has begun.
func TestAhead_PiecesOfOneThatHasEnded(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(stdout(1, "\none, "))
	buf := make([]byte, 4096)
	if a, err := w.sent[0].Receive(buf); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Fatalf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
	w.says(answer(1, "and all"))
	w.tokens.take()
	if w.sent[1].Recall() {
		t.Fatal("taken back though it has begun")
	}
	w.wantAnswer(1, "one, and all")
	w.says(answer(2, "\ntwo"))
	w.wantAnswer(2, "two")
}

// TestAhead_Endless: a worker that has begun the next request and does not end its first
// answer does not keep the loop.
func TestAhead_Endless(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	for w.tokens.take() {
	}
	_ = unix.SetNonblock(int(w.Fd()), false)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			if _, err := io.WriteString(w, stdout(1, strings.Repeat("x", 60000))); err != nil {
				return
			}
		}
	}()
	ready(t, w.sent[0].FD())
	buf := make([]byte, 128<<10)
	for range 2 { // so often the loop asks
		if a, err := w.sent[0].Receive(buf); a != nil || !errors.Is(err, wire.ErrMustWait) && err != nil {
			t.Fatalf("got %v (%v)", a, err)
		}
	}
	w.sent[0].CloseLine()
	if _, err := w.sent[1].Await(newRequest(t, "GET", "/2", "")); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want %v: these are records of the first answer", err, ErrMalformed)
	}
	<-ended
}

func TestAhead_WorkerDies(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.Close()
	if a, err := w.sent[0].Receive(make([]byte, 4096)); a != nil || !errors.Is(err, wire.ErrMustWait) {
		t.Fatalf("got %v (%v), want %v", a, err, wire.ErrMustWait)
	}
	if !w.sent[1].Recall() {
		t.Error("it was not begun, and not taken back")
	}
	if _, err := w.sent[0].Await(newRequest(t, "GET", "/1", "")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// TestAhead_NotWithoutTokens: a worker that does not know what they are for has one
// request at a time.
func TestAhead_NotWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 1)
	w.client.busy.followers = false
	if s := w.send(2); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
}

// TestAhead_NotTooMany: an id is free again before it comes round.
func TestAhead_NotTooMany(t *testing.T) {
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

// TestAhead_NotBeforeWhoHasTheTurn: the idle connection is for the request that comes first.
func TestAhead_NotBeforeWhoHasTheTurn(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 0)
	if s := w.client.SendFollower(headOf(newRequest(t, "GET", "/2", "")), w.watch); s.Outcome() != wire.NoFollower {
		t.Fatalf("got %v, want %v", s.Outcome(), wire.NoFollower)
	}
	r := newRequest(t, "GET", "/2", "")
	if _, err := w.client.SendFollower(headOf(r), w.watch).Await(r); !errors.Is(err, wire.ErrNotSent) {
		t.Fatalf("got %v, want %v: it is to ask for another worker", err, wire.ErrNotSent)
	}
	if s := w.send(1); s.Outcome() != wire.Written {
		t.Fatal("its connection was taken")
	}
	w.says(answer(1, "\none"))
	w.wantAnswer(1, "one")
}

// TestAhead_Greeting passes the tokens to another process, which says that it knows them.
func TestAhead_Greeting(t *testing.T) {
	t.Parallel()
	for _, knows := range []bool{true, false} {
		taken := make(chan bool, 1)
		c := startWorker(t, Options{Packed: true}, func(p *peer) {
			var in, oob [512]byte
			_, n, _, _, err := p.Conn.(*net.UnixConn).ReadMsgUnix(in[:], oob[:])
			if err != nil {
				t.Error(err)
				return
			}
			value := ""
			if knows {
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
		if got := c.idle[0].followers; got != knows {
			t.Errorf("takes requests ahead: %v, want %v", got, knows)
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
