package site

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Tunnel is a client's connection that has left HTTP with an answer 101, such as a
// WebSocket: bytes are passed both ways between client and worker.
type Tunnel interface {
	Cut() // ends it soon
}

// Tunnels are those of a site. The zero value is ready to use. It outlives reloads.
type Tunnels struct {
	mu sync.Mutex
	// mu protects all below
	open    map[Tunnel]bool // never false
	places  int             // taken: by those, and by requests that may become one
	refused int64           // requests that got no place
	none    chan struct{}   // closed when no place is taken; nil unless End waits
}

// Enter takes a place for a request that may become a tunnel. It returns false if as many
// as most are taken.
func (s *Tunnels) Enter(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places >= most {
		s.refused++
		return false
	}
	s.places++
	return true
}

// Leave gives a place back, that of t unless that is nil.
func (s *Tunnels) Leave(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
	if s.places--; s.places == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// Add says that t has the place that its request has taken.
func (s *Tunnels) Add(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[Tunnel]bool{}
	}
	s.open[t] = true
}

// Counts returns how many tunnels there are, and how many requests got no place.
func (s *Tunnels) Counts() (open int, refused int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open), s.refused
}

// End returns when there is no tunnel any more. When ctx ends it cuts those that are left.
func (s *Tunnels) End(ctx context.Context) {
	s.mu.Lock()
	if s.places == 0 {
		s.mu.Unlock()
		return
	}
	if s.none == nil {
		s.none = make(chan struct{})
	}
	none := s.none
	s.mu.Unlock()
	select {
	case <-none:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, t := range open {
		t.Cut()
	}
	<-none
}
