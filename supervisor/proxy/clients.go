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

// place is what a request under way takes of its address's share. The zero value is
// that of a site without a limit.
type place struct {
	clients *Clients
	addr    string
}

// enter returns the place of a request. False: its address has as many as it may.
func (s *Site) enter(addr string) (place, bool) {
	if s.MaxPerAddress <= 0 {
		return place{}, true
	}
	if !s.Clients.enter(addr, s.MaxPerAddress) {
		return place{}, false
	}
	return place{s.Clients, addr}, true
}

// leave gives the place back, once.
func (p *place) leave() {
	if p.clients != nil {
		p.clients.leave(p.addr)
		p.clients = nil
	}
}

// pass returns the place, which is another's to give back now.
func (p *place) pass() place {
	passed := *p
	p.clients = nil
	return passed
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
