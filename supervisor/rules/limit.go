package rules

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is how often an address may send a request.
type Rate struct {
	Count int // requests in Per; 0: no limit
	Per   time.Duration
	Burst int // requests that may come at once
}

// maxLimited bounds the table of a site.
const maxLimited = 16384

// Limiter counts the requests of each address. The zero value is ready to use. It outlives
// reloads. Any goroutine may use it.
//
// Of each address it knows when its requests so far will have been paid for: one each
// Per/Count. An address may be ahead of that by Burst requests.
type Limiter struct {
	mu sync.Mutex
	// mu protects all below
	paid map[netip.Addr]int64 // by network, in nanoseconds; those that are paid for are dropped
}

// take counts a request. It returns how long the address has to wait, 0 if the request may
// pass; one that may not is not counted.
func (l *Limiter) take(addr string, r Rate, now time.Time) time.Duration {
	key, at, each := network(addr), now.UnixNano(), int64(r.Per)/int64(r.Count)
	l.mu.Lock()
	defer l.mu.Unlock()
	paid, known := l.paid[key]
	if !known {
		l.makeRoomLocked(at)
	}
	paid = max(paid, at) + each
	if ahead := paid - at - int64(r.Burst)*each; ahead > 0 {
		return time.Duration(ahead)
	}
	l.paid[key] = paid
	return 0
}

// makeRoomLocked drops some addresses that have paid. In a full table one makes room that
// has nearly paid: an address that comes back gets a new burst, no more.
func (l *Limiter) makeRoomLocked(now int64) {
	if l.paid == nil {
		l.paid = map[netip.Addr]int64{}
	}
	const looks = 8
	var least netip.Addr
	looked := 0
	for key, paid := range l.paid { // from anywhere
		if paid <= now {
			delete(l.paid, key)
		} else if !least.IsValid() || paid < l.paid[least] {
			least = key
		}
		if looked++; looked == looks {
			break
		}
	}
	if len(l.paid) >= maxLimited {
		delete(l.paid, least)
	}
	if len(l.paid) == 0 {
		l.paid = map[netip.Addr]int64{} // a map does not shrink
	}
}

// network returns what counts as one client: an IPv4 address, or a network of IPv6 as an
// ordinary customer gets it. What is no address is one client.
func network(addr string) netip.Addr {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return netip.IPv6Unspecified()
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip
	}
	p, _ := ip.Prefix(64) // cannot fail
	return p.Addr()
}
