package proxy

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
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

// hurry ends the wait for bodies of which nothing came for longest, an eighth at a time.
func (c *census) hurry(now time.Time) {
	since := map[*handed]int64{}
	c.mu.Lock()
	for conn := range c.busy {
		if h, ok := conn.(*handed); ok {
			if began := h.waits.Load(); began != 0 && now.Sub(time.Unix(0, began)) > time.Second {
				since[h] = began
			}
		}
	}
	c.mu.Unlock()
	longest := slices.SortedFunc(maps.Keys(since), func(a, b *handed) int { return cmp.Compare(since[a], since[b]) })
	for _, h := range longest[:(len(longest)+7)/8] {
		_ = h.SetReadDeadline(now) // or it has just ended
	}
}

// quiet tells that there are none.
func (c *census) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}
