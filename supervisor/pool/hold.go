package pool

import (
	"maps"
	"slices"
	"time"
)

// hold is one use of a worker that is no request and may last for hours, such as a
// WebSocket. It takes no thread of the worker, and no place in its line: the worker takes
// requests as before. A worker with holds is not idle. When it has to exit they may end in
// GracefulTimeout, and are cut then.
type hold struct{ cut func() }

// Hold adds a hold to the claim's worker. Its holder calls release once, when it has ended;
// cut is called if it must end, on any goroutine. Release of the claim must still be called.
func (c *Claim) Hold(cut func()) (release func()) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.pool.holdLocked(c.member, cut)
}

// HoldAgain adds a hold, which the image before has handed over, to the worker with this
// process. It returns false if there is none.
func (p *Pool) HoldAgain(pid int, cut func()) (release func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.members, func(m *member) bool { return m.worker != nil && m.worker.PID() == pid })
	if i < 0 {
		return nil, false
	}
	return p.holdLocked(p.members[i], cut), true
}

func (p *Pool) holdLocked(m *member, cut func()) (release func()) {
	if m.holds == nil {
		m.holds = map[*hold]bool{}
	}
	h := &hold{cut}
	m.holds[h] = true
	p.rank.changed(m)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(m.holds, h)
		m.used = time.Now() // it is idle since then
		p.rank.changed(m)
	}
}

func (p *Pool) holds(m *member) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(m.holds)
}

// cutHolds ends the holds of a worker that is to exit.
func (p *Pool) cutHolds(m *member) {
	p.mu.Lock()
	holds := slices.Collect(maps.Keys(m.holds))
	p.mu.Unlock()
	for _, h := range holds {
		h.cut()
	}
}
