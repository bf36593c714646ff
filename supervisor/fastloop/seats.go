package fastloop

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
)

// Limits bound the connections of clients, in whatever state. Trusted proxies are counted,
// but never refused.
type Limits struct {
	Connections int // 0: as many as there are descriptors, and 10,000 at most
	PerAddress  int // 0: a quarter of Connections, and at least leastPerAddress. Of IPv6, a network of 64 bits is one address
}

// DefaultConnections is how many connections there may be if nobody says it. Each takes some
// kilobytes of memory, most of it the kernel's.
const DefaultConnections = 10_000

// leastPerAddress is how many connections one address may have at least if nobody says it:
// many people may share it.
const leastPerAddress = 1000

// orDefault returns the limits that apply. most is how many descriptors there are.
func (m Limits) orDefault(most int) Limits {
	if m.Connections == 0 {
		m.Connections = min(DefaultConnections, most)
	}
	if m.PerAddress == 0 {
		m.PerAddress = max(m.Connections/4, leastPerAddress)
	}
	return m
}

// Connections are how many there are, and how many were refused.
type Connections struct {
	Open              int
	Limits            Limits // that apply
	Refused           int64  // for Limits.Connections
	RefusedPerAddress int64
}

// seats counts connections. Any goroutine may use it.
type seats struct {
	mu sync.Mutex
	// mu protects all below
	limits            Limits
	open              int
	byAddress         map[netip.Addr]int // never 0
	refused, refusedA int64
}

// seat is the share that a connection has in what is counted. It goes with the connection
// from owner to owner; a nil one has left.
type seat struct {
	of      *seats
	address netip.Addr // not valid: of a trusted proxy, or a local one
	left    atomic.Bool
}

// taken says what became of enter.
type taken int

const (
	took taken = iota
	full       // Limits.Connections
	fullAddress
)

// enter counts a connection of a peer. A trusted one is never refused.
func (s *seats) enter(peer string, trusted bool) (*seat, taken) {
	address := countedAddress(peer, trusted)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case address.IsValid() && s.byAddress[address] >= s.limits.PerAddress:
		s.refusedA++
		return nil, fullAddress
	case address.IsValid() && s.open >= s.limits.Connections:
		return nil, full
	}
	return s.sitLocked(address), took
}

// enterAgain counts a connection that was counted in another process.
func (s *seats) enterAgain(peer string, trusted bool) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sitLocked(countedAddress(peer, trusted))
}

func (s *seats) sitLocked(address netip.Addr) *seat {
	s.open++
	if address.IsValid() {
		s.byAddress[address]++
	}
	return &seat{of: s, address: address}
}

// leave ends the share. It may be called more than once.
func (s *seat) leave() {
	if s == nil || s.left.Swap(true) {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.open--
	if !s.address.IsValid() {
		return
	}
	if s.of.byAddress[s.address]--; s.of.byAddress[s.address] == 0 {
		delete(s.of.byAddress, s.address)
	}
}

// countedAddress returns the address that stands for a peer; not valid for a trusted one,
// and for a unix socket.
func countedAddress(peer string, trusted bool) netip.Addr {
	at, err := netip.ParseAddrPort(peer)
	if err != nil || trusted {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		network, _ := addr.Prefix(64) // cannot fail
		return network.Addr()
	}
	return addr
}

// SetLimits sets the limits for connections that come from now on.
func (l *Loop) SetLimits(m Limits) {
	l.seats.mu.Lock()
	defer l.seats.mu.Unlock()
	l.seats.limits = m.orDefault(l.reserve)
}

// Connections returns how many connections there are.
func (l *Loop) Connections() Connections {
	s := &l.seats
	s.mu.Lock()
	defer s.mu.Unlock()
	return Connections{Open: s.open, Limits: s.limits, Refused: s.refused, RefusedPerAddress: s.refusedA}
}

// roomPeriod is how often the loop looks for idle clients if there are too many of all.
const roomPeriod = 100 * time.Millisecond

// seatFor counts a new connection; nil: it is refused. If there are too many, those that
// have been idle longest make room.
func (l *Loop) seatFor(peer string) *seat {
	trusted := httphead.IsTrusted(peer, l.o.TrustedProxies)
	s, how := l.seats.enter(peer, trusted)
	if how != full {
		return s
	}
	if now := time.Now(); now.Sub(l.crowded) > roomPeriod {
		l.crowded = now
		if l.closeIdle(now) {
			s, how = l.seats.enter(peer, trusted)
		}
	}
	if how == full {
		l.seats.mu.Lock()
		l.seats.refused++
		l.seats.mu.Unlock()
	}
	return s
}

// sit gives the client with this descriptor its seat. If there is no such client, the seat
// is left.
func (l *Loop) sit(fd int, s *seat) {
	if c := l.clients[fd]; c != nil {
		c.seat = s
		return
	}
	s.leave()
}
