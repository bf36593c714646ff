// Package gate has a listener that can be shut for a moment: clients that connect
// meanwhile wait in the backlog of the kernel, and are accepted when it opens again.
// It also counts the busy connections of the http.Server that accepts from it, so
// that the caller can wait for them.
package gate

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

// Gate is a listener that can be shut and opened. It is open at first.
type Gate struct {
	listener

	mu sync.Mutex
	// mu protects all below.
	open    chan struct{}     // closed while the gate is open; a new one for each Shut
	closed  bool              // by Close: the gate stays open from now on
	waiting bool              // the last Accept has noticed that the gate is shut
	busy    map[net.Conn]bool // connections with a request, by ConnState
	changed chan struct{}     // closed and replaced whenever waiting or busy change
}

// listener is what TCP and unix listeners have in common.
type listener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// New returns a gate in front of l, which must be a TCP or unix listener.
func New(l net.Listener) *Gate {
	open := make(chan struct{})
	close(open)
	return &Gate{listener: l.(listener), open: open, busy: map[net.Conn]bool{}, changed: make(chan struct{})}
}

// Accept waits until the gate is open and a client connects.
func (g *Gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		<-g.opened()
	}
}

func (g *Gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = true
	g.changedLocked()
	return g.open
}

// Shut makes Accept wait until Open is called. An Accept that has just got a
// connection still returns it: AwaitIdle waits for that connection, too.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.open, g.waiting = make(chan struct{}), false
	_ = g.SetDeadline(time.Unix(1, 0)) // it fails only for a closed listener
}

// Open undoes Shut.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		_ = g.SetDeadline(time.Time{}) // it fails only for a closed listener
		close(g.open)
	}
}

// Close closes the listener. Accept returns an error from now on, even if the gate
// is shut.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	defer g.Open()
	return g.listener.Close()
}

// AwaitIdle waits until the gate is shut, no Accept is about to return a connection,
// and at most limit connections are busy. It returns earlier when ctx ends.
func (g *Gate) AwaitIdle(ctx context.Context, limit int) {
	for {
		g.mu.Lock()
		idle, changed := g.waiting && len(g.busy) <= limit, g.changed
		g.mu.Unlock()
		if idle {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// ConnState is to be the ConnState hook of the http.Server that accepts from g.
func (g *Gate) ConnState(conn net.Conn, state http.ConnState) {
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

func (g *Gate) changedLocked() {
	close(g.changed)
	g.changed = make(chan struct{})
}
