package fastloop

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ConnSet is the connections that other goroutines than the loop's thread have, because a
// request of theirs is under way there.
type ConnSet struct {
	mu sync.Mutex
	// mu protects all below
	busy    map[net.Conn]bool // never false
	onEmpty func()            // is called once when busy becomes empty; nil: nobody waits
}

func newConnSet() *ConnSet { return &ConnSet{busy: map[net.Conn]bool{}} }

// Note adds a connection in state New or Active, and removes it in any other state.
func (s *ConnSet) Note(conn net.Conn, state http.ConnState) {
	if state == http.StateNew || state == http.StateActive {
		s.mu.Lock()
		s.busy[conn] = true
		s.mu.Unlock()
		return
	}
	s.mu.Lock()
	delete(s.busy, conn)
	var onEmpty func()
	if len(s.busy) == 0 {
		onEmpty, s.onEmpty = s.onEmpty, nil
	}
	s.mu.Unlock()
	if onEmpty != nil {
		onEmpty()
	}
}

// Close closes the connections.
func (s *ConnSet) Close() {
	s.mu.Lock()
	conns := slices.Collect(maps.Keys(s.busy))
	s.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// Empty reports whether there are none.
func (s *ConnSet) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.busy) == 0
}

// emptyOr reports whether there are no connections. If there are, f is called when the
// last one has gone.
func (s *ConnSet) emptyOr(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.busy) == 0 {
		return true
	}
	s.onEmpty = f
	return false
}

// hurry ends the longest waits for clients, an eighth of them: for a piece of a body, or
// until a piece of an answer is taken.
func (s *ConnSet) hurry(now time.Time) {
	since := map[*Socket]int64{}
	s.mu.Lock()
	for conn := range s.busy {
		if c, ok := conn.(interface{ base() *Socket }); ok {
			if at := c.base().stalledAt.Load(); at != 0 && at < now.UnixNano() {
				since[c.base()] = at
			}
		}
	}
	s.mu.Unlock()
	longest := slices.SortedFunc(maps.Keys(since), func(a, b *Socket) int { return cmp.Compare(since[a], since[b]) })
	for _, c := range longest[:(len(longest)+7)/8] {
		_ = c.SetDeadline(now) // fails if the connection was closed just now
	}
}
