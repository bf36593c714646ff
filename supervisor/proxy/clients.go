package proxy

import (
	"net"
	"sync"
)

// Clients counts the requests that each address has under way at a site. The zero
// value counts from nothing. It outlives reloads.
type Clients struct {
	mu sync.Mutex
	// mu protects open
	open map[string]int
}

// enter counts a request of an address, unless it has as many as it may.
func (c *Clients) enter(addr string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr] >= most {
		return false
	}
	if c.open == nil {
		c.open = map[string]int{}
	}
	c.open[addr]++
	return true
}

func (c *Clients) leave(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr]--; c.open[addr] == 0 {
		delete(c.open, addr)
	}
}

// clientAddr is the address of the client without its port, which is another one
// for every connection.
func (e *exchange) clientAddr() string {
	host, _, err := net.SplitHostPort(e.r.RemoteAddr)
	if err != nil {
		return e.r.RemoteAddr
	}
	return host
}
