package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// gate is a listener that can be closed for a moment: whoever connects then waits.
// It also knows which of the connections are busy that an http.Server took from it.
type gate struct {
	listener

	mu sync.Mutex
	// mu protects all below
	open    chan struct{} // closed while the gate is open
	closed  bool          // for good
	waiting bool          // somebody waits in Accept for it to open
	busy    map[net.Conn]bool
	changed chan struct{} // closed and replaced on every change
}

// listener is a TCP or unix socket.
type listener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

func newGate(l net.Listener) *gate {
	open := make(chan struct{})
	close(open)
	return &gate{listener: l.(listener), open: open, busy: map[net.Conn]bool{}, changed: make(chan struct{})}
}

// Accept waits for a connection, and for the gate to be open.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		<-g.wait()
	}
}

func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = true
	g.changedLocked()
	return g.open
}

// shut closes the gate. What has been accepted is in busy when settled returns.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.open, g.waiting = make(chan struct{}), false
	_ = g.SetDeadline(time.Unix(1, 0)) // a socket has deadlines
}

// reopen opens the gate.
func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		_ = g.SetDeadline(time.Time{})
		close(g.open)
	}
}

// Close closes the listener.
func (g *gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	defer g.reopen()
	return g.listener.Close()
}

// settled waits until a closed gate has no more busy connections than most, or ctx
// has ended.
func (g *gate) settled(ctx context.Context, most int) {
	for {
		g.mu.Lock()
		settled, changed := g.waiting && len(g.busy) <= most, g.changed
		g.mu.Unlock()
		if settled {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// connState is for http.Server.
func (g *gate) connState(conn net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		g.busy[conn] = true
	default:
		delete(g.busy, conn)
	}
	g.changedLocked()
}

func (g *gate) changedLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}
