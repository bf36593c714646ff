package fastloop

import (
	"container/list"
	"net/netip"
	"strings"
	"time"
)

const (
	maxHandshakes           = 512 // at once
	maxHandshakesPerAddress = 64
)

// handshakes bounds the TLS handshakes that run at once, each of which has a goroutine. The
// others wait in the loop. When all places are taken, an address with few takes that of the
// oldest handshake of the address with the most, so that nobody can take all places. Only
// the loop's thread uses it, but for computing.
type handshakes struct {
	computing turn
	running   map[string][]*handshake // by address, the oldest first
	total     int                     // of running
	waiting   map[string]*handshakeQueue
	turns     list.List // of waiting, in the order in which they get a place
}

// handshakeQueue is the clients of one address that wait for a place.
type handshakeQueue struct {
	clients list.List // of *client
	turn    *list.Element
}

// newHandshakes returns the places for handshakes, of which so many compute at once.
func newHandshakes(computing int) handshakes {
	return handshakes{computing: make(turn, computing), running: map[string][]*handshake{}, waiting: map[string]*handshakeQueue{}}
}

// networkOf returns what counts as one address: of IPv6 it is the network that one customer
// has.
func networkOf(addr string) string {
	if !strings.Contains(addr, ":") {
		return addr
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return addr
	}
	return network.String()
}

// hasPlace reports whether a handshake of an address may begin. Then one of another address
// may have to be cut.
func (h *handshakes) hasPlace(addr string) (cut *handshake, ok bool) {
	own := len(h.running[addr])
	if own >= maxHandshakesPerAddress {
		return nil, false
	}
	if h.total < maxHandshakes {
		return nil, true
	}
	var most []*handshake
	for _, of := range h.running {
		if len(of) > len(most) {
			most = of
		}
	}
	if len(most) <= own+1 {
		return nil, false
	}
	return most[0], true
}

// enter gives a handshake a place.
func (h *handshakes) enter(s *handshake) {
	h.running[s.addr] = append(h.running[s.addr], s)
	h.total++
}

// leave frees the place of a handshake. Further calls do nothing.
func (h *handshakes) leave(s *handshake) {
	all := h.running[s.addr]
	for i, other := range all {
		if other != s {
			continue
		}
		h.total--
		if len(all) == 1 {
			delete(h.running, s.addr)
			return
		}
		h.running[s.addr] = append(all[:i:i], all[i+1:]...)
		return
	}
}

// wait lets a client wait for a place.
func (h *handshakes) wait(c *client) {
	addr := networkOf(c.addr)
	q := h.waiting[addr]
	if q == nil {
		q = &handshakeQueue{}
		q.turn = h.turns.PushBack(addr)
		h.waiting[addr] = q
	}
	c.place = q.clients.PushBack(c)
}

// forget ends the wait of a client.
func (h *handshakes) forget(c *client) {
	if c.place == nil {
		return
	}
	addr := networkOf(c.addr)
	q := h.waiting[addr]
	q.clients.Remove(c.place)
	c.place = nil
	if q.clients.Len() == 0 {
		h.turns.Remove(q.turn)
		delete(h.waiting, addr)
	}
}

// next returns the client whose handshake is to begin, which does not wait any more; nil:
// there is no place. Addresses take turns.
func (h *handshakes) next() *client {
	if h.total >= maxHandshakes {
		return nil
	}
	for e := h.turns.Front(); e != nil; e = e.Next() {
		addr := e.Value.(string)
		if len(h.running[addr]) >= maxHandshakesPerAddress {
			continue
		}
		c := h.waiting[addr].clients.Front().Value.(*client)
		h.turns.MoveToBack(e)
		h.forget(c)
		return c
	}
	return nil
}

// areYoung reports whether a handshake runs that has not had much time.
func (h *handshakes) areYoung(now time.Time) bool {
	for _, all := range h.running {
		if now.Sub(all[len(all)-1].began) < youngHandshake {
			return true
		}
	}
	return false
}
