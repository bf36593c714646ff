// Package tunnel passes bytes both ways between a client and a worker that have left HTTP
// with an answer 101: a WebSocket, or another protocol that both have agreed on.
//
// A tunnel holds at most one buffer for each direction, and none while nothing arrives; what
// the receiver does not take is not read. The end of one direction is passed on, the other
// goes on. No timeout applies: a client that is gone is found by TCP keepalive. Both ends are
// released once, and the tunnel is logged then. A tunnel whose client has a bare socket can
// be paused between two bytes, so that another process goes on with it.
package tunnel

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// LingerTime is how long a client has to take the last bytes, and to close, once the worker
// is gone or the tunnel is cut.
const LingerTime = time.Second

// Stream is one end of a tunnel.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
}

// Options are what a Tunnel is made of. The tunnel owns the streams, the admission and the
// hold.
type Options struct {
	Client Stream
	Worker Stream // a bare socket (syscall.Conn)
	Bare   bool   // Client is one, too

	Up, Down State // from the client to the worker, and back

	Site      *site.Site // the tunnel has a place in its Tunnels
	Entry     site.Entry // of the access log, but for what is known at the end
	PID       int        // of the worker
	Admission site.Admission
	Hold      func(cut func()) (release func()) // the worker, which cuts the tunnel when it has to exit
}

// State is how far one direction is.
type State struct {
	Pending []byte `json:"pending,omitempty"` // was read, and is to be written
	Ended   bool   `json:"ended,omitempty"`   // its end was read and passed on
	Passed  int64  `json:"passed,omitempty"`  // bytes that were written
}

// Tunnel is a connection of a client that is joined with one of a worker.
type Tunnel struct {
	o    Options
	set  *Set
	up   half
	down half

	release func() // gives the worker back; set by Set.Start

	mu sync.Mutex
	// mu protects all below
	upOver, downOver bool          // the direction has ended for good
	cut              bool          // Cut was called
	pausing          bool          // pause was called
	stopped          chan struct{} // closed when neither direction runs
}

func newTunnel(s *Set, o Options) *Tunnel {
	t := &Tunnel{o: o, set: s}
	t.up = half{from: o.Client, to: o.Worker, bare: o.Bare, state: o.Up}
	t.down = half{from: o.Worker, to: o.Client, bare: true, state: o.Down}
	return t
}

// run passes bytes until both directions have ended or are paused.
func (t *Tunnel) run(stopped chan struct{}) {
	defer close(stopped)
	var up sync.WaitGroup
	upDone, downDone := false, false
	up.Go(func() { upDone = t.passUp() })
	downDone = t.passDown()
	up.Wait()
	if upDone && downDone {
		t.finish()
	}
}

// passUp passes on what the client sends. It returns false if it was paused.
func (t *Tunnel) passUp() (done bool) {
	if t.up.state.Ended {
		t.ended(&t.upOver)
		return true
	}
	for {
		writing, err := t.up.pass()
		switch {
		case t.isPaused(err):
			return false
		case writing: // the worker takes no more: what the client still sends is dropped, until it leaves
			t.up.dropping = true
		case err == io.EOF:
			t.up.state.Ended = true
			_ = t.o.Worker.CloseWrite() // fails if the worker is gone, which passDown notices
			t.ended(&t.upOver)
			return true
		default: // the client is gone, or its time is up
			t.Cut()
			t.ended(&t.upOver)
			return true
		}
	}
}

// passDown passes on what the worker sends. It returns false if it was paused.
func (t *Tunnel) passDown() (done bool) {
	if !t.down.state.Ended {
		writing, err := t.down.pass()
		switch {
		case t.isPaused(err):
			return false
		case writing: // the client is gone, or its time is up
			t.Cut()
			t.ended(&t.downOver)
			return true
		}
		t.down.state.Ended = true
		_ = t.o.Client.CloseWrite() // fails if the client is gone, which passUp notices
	}
	if t.ended(&t.downOver) {
		return true
	}
	if err := t.down.awaitGone(); t.isPaused(err) {
		return false
	}
	_ = t.o.Client.SetReadDeadline(time.Now().Add(LingerTime)) // passUp ends then
	return true
}

// isPaused reports whether err is that of a tunnel that is being paused.
func (t *Tunnel) isPaused(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pausing && errors.Is(err, os.ErrDeadlineExceeded)
}

// ended notes that a direction has ended. It returns true if it is the second one, and
// closes both ends then, since nothing more can come.
func (t *Tunnel) ended(direction *bool) (both bool) {
	t.mu.Lock()
	*direction = true
	both = t.upOver && t.downOver
	t.mu.Unlock()
	if both {
		t.o.Worker.Close()
		t.o.Client.Close()
	}
	return both
}

// Cut ends the tunnel. The client may take what is on its way, for a moment.
func (t *Tunnel) Cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cut {
		return
	}
	t.cut = true
	t.o.Worker.Close()
	_ = t.o.Client.SetDeadline(time.Now().Add(LingerTime)) // fails if it is closed
}

// finish releases what the tunnel holds, and logs it.
func (t *Tunnel) finish() {
	t.o.Worker.Close()
	t.o.Client.Close()
	t.release()
	t.o.Admission.End()
	e := t.o.Entry
	e.Took, e.Bytes = time.Since(e.Time), max(t.down.state.Passed, 0)
	t.o.Site.Logged(&e)
	t.set.forget(t)
	t.o.Site.Tunnels.Leave(t)
}

// pause stops both directions where they are. It returns false if the tunnel has ended.
func (t *Tunnel) pause() bool {
	t.mu.Lock()
	t.pausing = true
	stopped := t.stopped
	t.mu.Unlock()
	_, _ = t.o.Client.SetDeadline(longAgo), t.o.Worker.SetDeadline(longAgo) // a closed one has ended by itself
	<-stopped
	return t.set.has(t)
}

// resume undoes pause.
func (t *Tunnel) resume() {
	_, _ = t.o.Client.SetDeadline(time.Time{}), t.o.Worker.SetDeadline(time.Time{}) // fails if it is closed, which run notices
	t.mu.Lock()
	cut := t.cut
	t.pausing, t.cut = false, false
	t.mu.Unlock()
	if cut {
		t.Cut()
	}
	t.start()
}

func (t *Tunnel) start() {
	stopped := make(chan struct{})
	t.mu.Lock()
	t.stopped = stopped
	t.mu.Unlock()
	t.set.running.Go(func() { t.run(stopped) })
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)
