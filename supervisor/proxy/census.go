package proxy

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// census is the connections that the Loop's thread does not have: another goroutine
// has a request of them.
type census struct {
	mu sync.Mutex
	// mu protects busy
	busy map[net.Conn]bool
}

func newCensus() *census { return &census{busy: map[net.Conn]bool{}} }

func (c *census) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.busy, conn)
	if state == http.StateNew || state == http.StateActive {
		c.busy[conn] = true
	}
}

// close closes them.
func (c *census) close() {
	c.mu.Lock()
	conns := slices.Collect(maps.Keys(c.busy))
	c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// quiet tells that there are none.
func (c *census) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}
