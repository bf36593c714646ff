package tunnel

import (
	"maps"
	"slices"
	"sync"
)

// Set is all tunnels of a front door. The zero value is empty. Any goroutine may use it.
type Set struct {
	running sync.WaitGroup

	mu sync.Mutex
	// mu protects all below
	open   map[*Tunnel]bool // never false
	closed bool
}

// Start joins a client with a worker. The tunnel ends by itself, or is cut.
func (s *Set) Start(o Options) {
	t := newTunnel(s, o)
	o.Site.Tunnels.Add(t)
	t.release = o.Hold(t.Cut)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Tunnel]bool{}
	}
	s.open[t] = true
	if s.closed {
		t.Cut()
	}
	t.start()
}

// Close cuts all tunnels, and returns when they have ended.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, t := range s.all() {
		t.Cut()
	}
	s.running.Wait()
}

// Len returns how many there are.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Pause stops all tunnels between two bytes, and returns them, for another process to go on.
// Those whose client has no bare socket are cut, since nobody could. resume undoes it.
func (s *Set) Pause() (paused []*Tunnel, resume func()) {
	for _, t := range s.all() {
		switch {
		case !t.o.Bare:
			t.Cut()
		case t.pause():
			paused = append(paused, t)
		}
	}
	return paused, func() {
		for _, t := range paused {
			t.resume()
		}
	}
}

// State returns what the tunnel was made of, with the states that its directions have. The
// tunnel must be paused.
func (t *Tunnel) State() Options {
	o := t.o
	o.Up, o.Down = t.up.state, t.down.state
	return o
}

func (s *Set) all() []*Tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

func (s *Set) forget(t *Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
}

func (s *Set) has(t *Tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[t]
}
