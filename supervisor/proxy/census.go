package proxy

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// census is the connections that the Loop's thread does not have: another goroutine
// has a request of them, or waits for the head of one.
type census struct {
	mu sync.Mutex
	// mu protects all below
	busy    map[net.Conn]bool // those that are new have a request, as far as anybody knows
	heads   map[*handed]bool  // waiting for a head
	resting map[*handed]bool  // not waiting, but for the end of the pause; true: it was busy
	resumed chan struct{}     // closed then; nil: there is no pause
}

func newCensus() *census {
	return &census{busy: map[net.Conn]bool{}, heads: map[*handed]bool{}, resting: map[*handed]bool{}}
}

func (c *census) note(conn net.Conn, state http.ConnState) {
	h, _ := conn.(*handed)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, conn)
	delete(c.heads, h)
	if state == http.StateNew || state == http.StateActive {
		c.busy[conn] = true
	}
	if h != nil && (state == http.StateNew || state == http.StateIdle) {
		c.heads[h] = true
	}
}

// pause interrupts those that wait for a head: what has not come has to wait.
func (c *census) pause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on == (c.resumed != nil):
	case on:
		c.resumed = make(chan struct{})
		for h := range c.heads {
			_ = h.socket.SetReadDeadline(time.Unix(1, 0)) // a socket has deadlines
		}
	default:
		close(c.resumed)
		c.resumed = nil
		for h, busy := range c.resting {
			c.heads[h] = true
			if busy {
				c.busy[h] = true
			}
		}
		clear(c.resting)
	}
}

// rest returns when there is no pause.
func (c *census) rest(h *handed) {
	c.mu.Lock()
	resumed := c.resumed
	if resumed != nil {
		c.resting[h] = c.busy[h]
		delete(c.busy, h)
		delete(c.heads, h)
	}
	c.mu.Unlock()
	if resumed != nil {
		<-resumed
	}
}

func (c *census) eachResting(f func(*handed)) {
	c.mu.Lock()
	resting := slices.Collect(maps.Keys(c.resting))
	c.mu.Unlock()
	for _, h := range resting {
		f(h)
	}
}

// close closes those that have a request.
func (c *census) close() {
	c.mu.Lock()
	conns := slices.Collect(maps.Keys(c.busy))
	c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// quiet tells that none has a request.
func (c *census) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}

// gone tells that there are none, but those that rest.
func (c *census) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0 && len(c.heads) == 0
}
