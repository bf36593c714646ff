package fastcgi

import (
	"errors"
	"testing"

	"github.com/multisite/multisite/worker/wire"
)

// TestLine_SharedBuffer: what a connection has read ahead stays in the loop's buffer until
// another connection, or a goroutine, needs it.
func TestLine_SharedBuffer(t *testing.T) {
	t.Parallel()
	buf := wire.NewBuffer(4096)
	want := func(w *busyWorker, n int, body string) {
		t.Helper()
		if a, err := receiveAll(w.sent[n-1], buf); a == nil || string(a.Body) != body {
			t.Fatalf("request %d: got %v (%v), want %q", n, a, err, body)
		}
	}
	first, second := newBusyWorker(t, 4), newBusyWorker(t, 2)
	first.says(answer(1, "\none"), answer(2, "\ntwo"), answer(3, "\nthree"), "\x01\x06\x00\x04")
	second.says(answer(1, "\n1st"), answer(2, "\n2nd"))
	conn := first.client.busy
	want(first, 1, "one")
	if conn.lent != buf {
		t.Fatal("what was read ahead is not in the buffer")
	}
	want(first, 2, "two")
	want(second, 1, "1st")
	if conn.lent != nil || second.client.busy.lent != buf {
		t.Fatal("the buffer does not belong to the connection that has read last")
	}
	want(first, 3, "three")
	want(second, 2, "2nd")
	if idle(second.client) != 1 || second.client.idle[0].lent != nil {
		t.Fatal("an idle connection needs the buffer")
	}
	if a, err := receiveAll(first.sent[3], buf); a != nil || err != nil || conn.lent != buf {
		t.Fatalf("got %v (%v), want less than a head, in the buffer", a, err)
	}
	first.sent[3].CloseLine()
	clear(buf.Take(nil))
	first.says(answer(4, "\nfour")[4:])
	first.wantAwaited(4, "four")
}

// TestLine_BufferBelongsToNobody: what is given up needs no buffer.
func TestLine_BufferBelongsToNobody(t *testing.T) {
	t.Parallel()
	buf := wire.NewBuffer(4096)
	w := newBusyWorker(t, 1)
	w.says("\x01\x06")
	conn := w.client.busy
	if a, err := receiveAll(w.sent[0], buf); a != nil || err != nil || conn.lent != buf {
		t.Fatalf("got %v (%v), want less than a head, in the buffer", a, err)
	}
	w.File.Close()
	if _, err := w.sent[0].Await(newRequest(t, "GET", "/1", "")); err == nil || errors.Is(err, wire.ErrNotSent) || conn.lent != nil {
		t.Fatalf("got %v, want an error of what was sent, and the buffer free", err)
	}
}
