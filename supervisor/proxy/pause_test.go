package proxy

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// TestServer_Pause answers what was read, and holds what comes.
func TestServer_Pause(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 2, d), Options{})
	idle, busy := f.dial(get("/idle")), f.dial(get("/slow"))
	idle.wantBody("/idle")
	<-began
	paused := make(chan error)
	go func() { paused <- f.Pause(t.Context()) }()
	until(t, "pausing", f.isPaused)
	letGo <- nil
	busy.wantBody("/slow")
	if err := <-paused; err != nil {
		t.Fatal(err)
	}
	idle.send(get("/held1"))
	busy.send(get("/held2"))
	fresh := f.dial(get("/held3"))
	f.loop.Inspect(func(v fastloop.View) {
		if v.ResumeAccepting(); v.Listens() { // which it does every second
			t.Error("it accepts")
		}
	})
	for _, p := range []*peer{idle, busy, fresh} {
		p.wantSilence()
	}
	f.wantCounts(2, 0)
	f.Resume()
	idle.wantBody("/held1")
	busy.wantBody("/held2")
	fresh.wantBody("/held3")
	f.wantMine(fresh, true)
}

func (f *front) isPaused() (is bool) {
	f.loop.Inspect(func(v fastloop.View) { is = v.Paused() })
	return is
}

// wantSilence looks for what was sent already. What is not, the loop has not done.
func (p *peer) wantSilence() {
	p.tb.Helper()
	raw, err := p.SyscallConn()
	if err != nil {
		p.tb.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		var b [1]byte
		if n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err != unix.EAGAIN {
			p.tb.Errorf("got %d bytes (%v), want none yet", n, err)
		}
	})
}

// TestServer_PauseHasAllConnections, also those that net/http had.
func TestServer_PauseHasAllConnections(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 2, echo), Options{})
	const chunked = "POST /chunks HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
	chunks, post := f.dial(chunked), f.dial("POST /post HTTP/1.1\r\nHost: site.test\r\nTE: trailers\r\nContent-Length: 1\r\n\r\nx")
	chunks.wantBody("/chunks")
	post.wantBody("/post")
	if err := f.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.clients(); n != 2 {
		t.Errorf("got %d connections, want all", n)
	}
	chunks.send(get("/held"))
	chunks.wantSilence()
	f.Resume()
	chunks.wantBody("/held")
	f.wantMine(chunks, true)
	f.wantMine(post, true)
}

// TestServer_PauseGivesUp: a pause is given up if a request does not end in time, and
// that request is not harmed.
func TestServer_PauseGivesUp(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 2, d), Options{})
	busy := f.dial(get("/slow"))
	<-began
	held := f.dial("")
	until(t, "accepted", func() bool { return f.clients() >= 1 })
	cause := errors.New("too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*fastloop.DetachAfter, cause)
	defer cancel()
	if err := f.Pause(ctx); !errors.Is(err, cause) {
		t.Fatalf("got %v, want %v", err, cause)
	}
	held.send(get("/held"))
	f.Resume()
	held.wantBody("/held")
	letGo <- nil
	busy.wantBody("/slow")
	f.wantMine(busy, true)
}

// TestServer_PauseEndsWithTheServer: a server that is closed while it pauses ends the wait.
func TestServer_PauseEndsWithTheServer(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	f.dial(get("/slow"))
	<-began
	paused := make(chan error, 1)
	go func() { paused <- f.loop.Pause(t.Context()) }()
	until(t, "paused", f.isPaused)
	f.Close()
	if err := <-paused; err != nil {
		t.Error(err)
	}
	letGo <- nil
}

// TestServer_Adopt moves living connections to another server: their requests wait
// in the socket.
func TestServer_Adopt(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	before, after := startFront(t, newCrew(t, 1, echo), Options{}), startFront(t, newCrew(t, 1, echo), Options{})
	var peers []*peer
	for range 20 {
		p := before.dial(get("/before"))
		p.wantBody("/before")
		peers = append(peers, p)
	}
	peers = append(peers, before.dial("")) // it has asked nothing yet
	until(t, "accepted", func() bool { return before.clients() == len(peers) })
	if err := before.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers[:10] {
		p.send(get("/after"))
	}
	before.moveTo(after, len(peers))
	if err := before.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers[10:] {
		p.send(get("/after"))
	}
	for _, p := range peers {
		p.wantBody("/after")
	}
	before.wantCounts(20, 0)
	after.wantCounts(len(peers), 0)
	for range 20 {
		if e := <-before.entries; e.Client != "127.0.0.1" {
			t.Errorf("before: logged %q", e.Client)
		}
		if e := <-after.entries; e.Client != "127.0.0.1" {
			t.Errorf("after: logged %q", e.Client)
		}
	}
}

// moveTo gives the connections of a paused server to another one.
func (f *front) moveTo(after *front, want int) {
	f.tb.Helper()
	clients, err := f.Idle()
	if err != nil || len(clients) != want {
		f.tb.Fatalf("got %d connections (%v), want %d", len(clients), err, want)
	}
	after.Adopt(clients)
	for _, c := range clients {
		c.File.Close()
	}
}

// TestServer_AdoptOfTheDead: clients leave in the same moment, in every way.
func TestServer_AdoptOfTheDead(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	for _, leave := range []func(c *net.TCPConn){
		func(c *net.TCPConn) { c.Close() },
		func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
		func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		near, far := tcpPair(t)
		file, err := near.File()
		if err != nil {
			t.Fatal(err)
		}
		leave(far)
		wantGoneSoon(t, near)
		f.Adopt([]IdleConn{{File: file}})
		file.Close()
	}
	until(t, "closed", func() bool { return f.clients() == 0 })
}

// wantGoneSoon returns when the kernel knows that the other end has gone.
func wantGoneSoon(t *testing.T, near *net.TCPConn) {
	t.Helper()
	_ = near.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := near.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("got %d bytes (%v), want the end", n, err)
	}
}
