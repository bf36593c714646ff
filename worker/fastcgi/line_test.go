package fastcgi

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/wire"
)

// busyWorker is a fake of our own worker with a line of the requests /1, /2 and so on.
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

// wantAnswer receives the answer to request n.
func (w *busyWorker) wantAnswer(n int, body string) *Sent {
	w.t.Helper()
	s := w.sent[n-1]
	a, err := receiveAll(s, wire.NewBuffer(4096))
	if a == nil || string(a.Body) != body {
		w.t.Fatalf("request %d: got %v (%v), want %q", n, a, err, body)
	}
	return s
}

// wantAwaited waits for the answer to request n.
func (w *busyWorker) wantAwaited(n int, body string) {
	w.t.Helper()
	if of, ok := begun.Load(w.sent[n-1]); ok && of.(*received).a != nil {
		r := of.(*received)
		r.rest(w.t, w.sent[n-1], newRequest(w.t, "GET", "/", ""))
		if got := string(r.a.Body); r.err != nil || got != body {
			w.t.Fatalf("request %d: got %.100q (%v), want %.100q", n, got, r.err, body)
		}
		return
	}
	resp, err := w.sent[n-1].Await(newRequest(w.t, "GET", "/"+strconv.Itoa(n), ""))
	if err != nil {
		w.t.Fatalf("request %d: %v", n, err)
	}
	got, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || string(got) != body {
		w.t.Fatalf("request %d: got %.100q (%v), want %.100q", n, got, err, body)
	}
}

func skipped(id int) string {
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

func TestLine_AnswersInOrder(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 3)
	for range 2 { // for all but the first
		if !w.tokens.take() {
			t.Fatal("want a token for each follower")
		}
	}
	if w.tokens.take() {
		t.Error("got a token too many")
	}
	w.says(answer(1, "\none"), answer(2, "\ntwo"), answer(3, "\nthree")[:20])
	if s := w.wantAnswer(1, "one"); !s.HasBuffered() {
		t.Error("the second answer was read, and HasBuffered is false")
	}
	w.wantAnswer(2, "two")
	if a, err := receiveAll(w.sent[2], wire.NewBuffer(4096)); a != nil || err != nil {
		t.Fatalf("got %v (%v) of a part", a, err)
	}
	w.says(answer(3, "\nthree")[20:])
	if s := w.wantAnswer(3, "three"); s.HasBuffered() {
		t.Error("HasBuffered after the last answer")
	}
	if n := idle(w.client); n != 1 || w.watch.times() != 1 {
		t.Errorf("got %d idle connections, watched %d times, want the one again", n, w.watch.times())
	}
	if got := w.flags(); string(got) != "\x01\x81\x81" {
		t.Errorf("got flags %x", got)
	}
}

// TestLine_Recall: skip records of recalled requests are dropped, wherever they are cut,
// and no follower is sent while one is outstanding.
func TestLine_Recall(t *testing.T) {
	t.Parallel()
	skips := skipped(2) + skipped(3)
	for cut := range len(skips) {
		w := newBusyWorker(t, 3)
		for _, n := range []int{3, 2} {
			if !w.sent[n-1].Recall() {
				t.Fatalf("%d was not recalled", n)
			}
		}
		if w.sent[0].Recall() || w.tokens.take() {
			t.Fatal("the head was recalled, or has a token")
		}
		w.says(answer(1, "\none"), skips[:cut])
		w.wantAnswer(1, "one")
		if s := w.send(4); s.Outcome() != wire.Written {
			t.Fatalf("not sent: %v", s.err)
		}
		if s := w.send(5); s.Outcome() == wire.Written && cut < len(skips) {
			t.Fatal("a follower was sent while a skip record is outstanding")
		}
		w.says(skips[cut:], answer(4, "\nfour"))
		w.wantAnswer(4, "four")
		w.client.Close()
	}
}

// TestLine_AwaitDropsSkips has the next request waited for while skip records are
// outstanding.
func TestLine_AwaitDropsSkips(t *testing.T) {
	t.Parallel()
	skips := skipped(2) + skipped(3) + answer(4, "\nfour")
	for cut := range len(skips) {
		w := newBusyWorker(t, 3)
		for _, n := range []int{3, 2} {
			w.sent[n-1].Recall()
		}
		w.says(answer(1, "\none"))
		w.wantAnswer(1, "one")
		s := w.send(4)
		w.says(skips[:cut])
		if a, err := receiveAll(s, wire.NewBuffer(4096)); a != nil {
			t.Fatalf("got %v (%v) of a part", a, err)
		}
		w.says(skips[cut:])
		w.wantAwaited(4, "four")
		w.client.Close()
	}
}

func TestLine_BegunIsNotRecalled(t *testing.T) {
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

// TestLine_NotSimple leaves an answer to Await; its followers do not wait for that.
func TestLine_NotSimple(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(answer(1, "Upgrade: websocket\n\none"), answer(2, "\ntwo"))
	if a, err := receiveAll(w.sent[0], wire.NewBuffer(4096)); a != nil || !errors.Is(err, wire.ErrNotSimple) || !w.sent[0].HasBuffered() {
		t.Fatalf("got %v (%v), want %v and more", a, err, wire.ErrNotSimple)
	}
	w.wantAnswer(2, "two")
	w.wantAwaited(1, "one")
	if n := idle(w.client); n != 1 {
		t.Errorf("got %d idle connections, want 1", n)
	}
}

// TestLine_InPieces: a request whose rest is waited for has no followers.
func TestLine_InPieces(t *testing.T) {
	t.Parallel()
	w := newBusyWorker(t, 2)
	w.says(stdout(1, "\none, "))
	if a, err := receiveAll(w.sent[0], wire.NewBuffer(4096)); a != nil || err != nil {
		t.Fatalf("got %v (%v), want a part", a, err)
	}
	if !w.sent[1].Recall() {
		t.Fatal("not recalled")
	}
	w.sent[0].CloseLine()
	if s := w.send(3); s.Outcome() == wire.Written {
		t.Fatal("a follower was sent behind a request that is waited for")
	}
	w.says(answer(1, "in pieces"), skipped(2))
	w.wantAwaited(1, "one, in pieces")
	w.send(4)
	w.says(answer(3, "\nfour"))
	w.wantAnswer(4, "four")
}

// TestLine_NextRequestDropsSkips: the next request on a connection, whatever its kind,
// drops the skip records that are outstanding.
func TestLine_NextRequestDropsSkips(t *testing.T) {
	t.Parallel()
	skips := skipped(2) + skipped(3)
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
			for cut := range len(skips) + 1 {
				w := newBusyWorker(t, 3)
				for _, n := range []int{3, 2} {
					w.sent[n-1].Recall()
				}
				w.says(answer(1, "\none"), skips[:cut])
				w.wantAwaited(1, "one")
				w.says(skips[cut:], answer(4, "\nfour"))
				next(w)
				if n := idle(w.client); n != 1 {
					t.Fatalf("cut at %d: got %d idle connections, want the one again", cut, n)
				}
				w.client.Close()
			}
		})
	}
}
