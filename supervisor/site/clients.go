package site

import "sync"

// Clients counts the requests that each address has under way at a site. The zero
// value is ready to use. It outlives reloads.
type Clients struct {
	mu sync.Mutex
	// mu protects open
	open map[string]int // by address; never 0
}

// Len returns the number of requests under way.
func (c *Clients) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, open := range c.open {
		n += open
	}
	return n
}

// enter counts a request of an address. It returns false if the address has as many as it may.
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

// Admission is a request's share of what its address may have under way. It is ended
// once, by its owner. The zero value is the admission to a site without a limit.
type Admission struct {
	clients *Clients // nil: no limit, or ended, or taken
	addr    string
}

// Admit counts a request of an address. It returns false if the address has as many
// under way as it may.
func (s *Site) Admit(addr string) (Admission, bool) {
	if s.MaxPerAddress <= 0 {
		return Admission{}, true
	}
	if !s.Clients.enter(addr, s.MaxPerAddress) {
		return Admission{}, false
	}
	return Admission{s.Clients, addr}, true
}

// End ends the admission. Further calls do nothing.
func (a *Admission) End() {
	if a.clients != nil {
		a.clients.leave(a.addr)
		a.clients = nil
	}
}

// Take moves the admission to a new owner, who ends it.
func (a *Admission) Take() Admission {
	taken := *a
	a.clients = nil
	return taken
}
