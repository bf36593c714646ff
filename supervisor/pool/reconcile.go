package pool

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

const (
	// surge is how many workers of a new generation start at once while old ones still
	// serve, so that a reload does not double the memory of a site.
	surge = 2
	// mostStarting is how many workers of a site start at once.
	mostStarting = 16
	// forever is how long Run sleeps if only an event can change anything.
	forever = time.Hour
)

// reconcile compares the workers with what should be. It returns the members to launch
// now, after which time to reconcile again at the latest, and whether Run is finished.
func (p *Pool) reconcile(now time.Time) (starts []*member, wait time.Duration, finished bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped && len(p.members) == 0 {
		return nil, 0, true
	}
	if p.paused {
		return nil, forever, false
	}
	wait = min(p.shrinkIdleLocked(now), p.recycleLocked(now))
	p.drainSurplusLocked()
	n, delay := p.missingLocked(now)
	if delay > 0 {
		wait = min(wait, delay)
	}
	for range n {
		starts = append(starts, p.addLocked(p.current, now))
	}
	if p.next != nil && !p.hasLocked(p.next) {
		starts = append(starts, p.addLocked(p.next, now))
	}
	p.tallyLocked()
	return starts, wait, false
}

// tally counts members.
type tally struct {
	live     int // as liveLocked returns
	starting int // all whose launch runs
}

func (p *Pool) tallyLocked() {
	p.tally = tally{live: p.liveLocked()}
	for _, m := range p.members {
		if m.state == Starting {
			p.tally.starting++
		}
	}
}

// missingLocked returns how many workers to launch now, or how long to wait first. After
// a failure only one is launched at a time while no worker is ready.
func (p *Pool) missingLocked(now time.Time) (n int, wait time.Duration) {
	var live, starting, outgoing int
	for _, m := range p.members {
		switch {
		case !m.live():
		case p.outgoingLocked(m):
			outgoing++
		default:
			live++
			if m.state == Starting {
				starting++
			}
		}
	}
	n = p.desired - live
	if n <= 0 {
		return 0, 0
	}
	if wait := p.backoff.wait(now); wait > 0 {
		return 0, wait
	}
	switch {
	case p.backoff.failures > 0 && live == starting:
		n = min(n, 1-starting)
	case outgoing > 0:
		n = min(n, p.surgeLocked()-starting)
	default:
		n = min(n, mostStarting-starting)
	}
	return max(n, 0), 0
}

// surgeLocked returns how many workers start at once while outgoing ones serve. A roll for
// which nobody waits replaces one at a time.
func (p *Pool) surgeLocked() int {
	if p.current.reason == ReasonWarmup {
		return 1
	}
	return surge
}

// drainSurplusLocked drains outgoing workers that have a successor or are not ready yet,
// and after a scale down the workers with the highest slots, idle ones first.
func (p *Pool) drainSurplusLocked() {
	var ready, live int
	var outgoing []*member
	for _, m := range p.members {
		switch {
		case !m.live() || m.generation == p.next:
		case !p.outgoingLocked(m):
			live++
			if m.state == Ready {
				ready++
			}
		case m.state == Starting:
			p.retireLocked(m, p.current.reason)
		default:
			outgoing = append(outgoing, m)
		}
	}
	for len(outgoing) > max(0, p.desired-ready) {
		p.retireLocked(outgoing[0], p.whyOutgoingLocked(outgoing[0]))
		outgoing = outgoing[1:]
	}
	for ; live > p.desired; live-- {
		p.retireLocked(p.surplusLocked(), ReasonScale)
	}
}

// surplusLocked chooses the worker to drain: one that starts, else an idle one, else one
// without holds, else any; of several the one with the highest slot.
func (p *Pool) surplusLocked() *member {
	rank := func(m *member) int {
		switch {
		case m.state == Starting:
			return 3
		case m.unusedLocked():
			return 2
		case len(m.holds) == 0:
			return 1
		}
		return 0
	}
	var worst *member
	for _, m := range p.members {
		if !m.live() || p.outgoingLocked(m) {
			continue
		}
		if worst == nil || rank(m) > rank(worst) || rank(m) == rank(worst) && m.slot > worst.slot {
			worst = m
		}
	}
	return worst
}

// shrinkIdleLocked drains workers above Min that have been idle for InactivityTimeout. It
// returns after which time to look again: the end of a request does not wake Run.
func (p *Pool) shrinkIdleLocked(now time.Time) time.Duration {
	if p.settings.InactivityTimeout == 0 {
		return forever
	}
	wait := forever
	for _, m := range slices.Backward(p.members) {
		if p.desired <= p.settings.Min || m.state != Ready || m.generation != p.current {
			continue
		}
		rest := p.settings.InactivityTimeout
		if m.unusedLocked() {
			rest -= now.Sub(m.idleSince())
		}
		if rest > 0 {
			wait = min(wait, rest)
			continue
		}
		p.desired--
		if p.liveLocked() > p.desired { // otherwise it is enough not to launch one that is missing
			p.retireLocked(m, ReasonInactivity)
		}
	}
	return wait
}

// growLocked asks for one more worker if more requests wait than the workers that are
// being launched will take.
func (p *Pool) growLocked() {
	if p.held {
		return
	}
	coming := p.tally.starting + max(0, p.desired-p.tally.live)
	if p.desired < p.settings.Max && p.queue.len() > coming*cmp.Or(p.current.threads, p.settings.Threads) {
		p.desired++
		p.changedLocked()
	}
}

// liveLocked returns how many workers count towards the desired number.
func (p *Pool) liveLocked() (n int) {
	for _, m := range p.members {
		if m.live() && !p.outgoingLocked(m) {
			n++
		}
	}
	return n
}

func (p *Pool) retireLocked(m *member, reason Reason) {
	m.retireLocked(Draining, reason)
	p.changedLocked()
}

func (p *Pool) hasLocked(g *generation) bool {
	return slices.ContainsFunc(p.members, func(m *member) bool { return m.generation == g && m.live() })
}

// addLocked adds a member with the lowest slot that is free in its generation.
func (p *Pool) addLocked(g *generation, now time.Time) *member {
	slot := 1
	for _, m := range p.members { // in the order of their slots
		if m.generation == g && m.slot == slot {
			slot++
		}
	}
	m := newMember(fmt.Sprintf("%s/%d", p.site, slot), slot, g, now, rand.Float64())
	p.joinLocked(m)
	return m
}

// joinLocked adds a member in the order of the slots.
func (p *Pool) joinLocked(m *member) {
	i := sort.Search(len(p.members), func(i int) bool { return p.members[i].slot > m.slot })
	p.members = slices.Insert(p.members, i, m)
	m.recent = p.recent.PushFront(m)
}
