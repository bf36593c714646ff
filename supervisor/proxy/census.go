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

// hurry ends the waits for clients that are the longest, an eighth at a time: for a piece
// of a body, or until one of an answer is taken.
func (c *census) hurry(now time.Time) {
	from := map[*socket]int64{}
	c.mu.Lock()
	for conn := range c.busy {
		if s, ok := conn.(interface{ base() *socket }); ok {
			if at := s.base().idleFrom.Load(); at != 0 && at < now.UnixNano() {
				from[s.base()] = at
			}
		}
	}
	c.mu.Unlock()
	longest := slices.SortedFunc(maps.Keys(from), func(a, b *socket) int { return cmp.Compare(from[a], from[b]) })
	for _, s := range longest[:(len(longest)+7)/8] {
		_ = s.SetDeadline(now) // or it has just ended
	}
}

// quiet tells that there are none.
func (c *census) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.busy) == 0
}
