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
	// surge is how many workers of a new generation start at once while the old
	// ones still serve: a reload must not double a site's memory.
	surge = 2
	// mostStarting is how many workers of a site start at once.
	mostStarting = 16
	// forever is how long Run sleeps when only an event can change anything.
	forever = time.Hour
)

// reconcile compares the workers with what should be. It returns those to
// launch now, when to look again at the latest, and whether all has ended.
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

// tally counts the members that are to stay.
type tally struct{ live, starting int }

func (p *Pool) tallyLocked() {
	p.tally = tally{live: p.liveLocked()}
	for _, m := range p.members {
		if m.state == Starting {
			p.tally.starting++
		}
	}
}

// missingLocked returns how many workers to launch now. After a failure it waits
// out the backoff, and tries one alone while no other worker answers.
func (p *Pool) missingLocked(now time.Time) (n int, wait time.Duration) {
	var live, starting, outdated int
	for _, m := range p.members {
		switch {
		case !m.live():
		case p.outdatedLocked(m):
			outdated++
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
	if wait := p.trouble.wait(now); wait > 0 {
		return 0, wait
	}
	switch {
	case p.trouble.failures > 0 && live == starting:
		n = min(n, 1-starting)
	case outdated > 0:
		n = min(n, surge-starting)
	default:
		n = min(n, mostStarting-starting)
	}
	return max(n, 0), 0
}

// drainSurplusLocked drains what is too much: outdated workers that have a
// successor or do not answer yet, and after a scale down the last ones, idle ones
// first.
func (p *Pool) drainSurplusLocked() {
	var ready, live int
	var outdated []*member
	for _, m := range p.members {
		switch {
		case !m.live() || m.release == p.next:
		case !p.outdatedLocked(m):
			live++
			if m.state == Ready {
				ready++
			}
		case m.state == Starting:
			p.leaveLocked(m, p.current.reason)
		default:
			outdated = append(outdated, m)
		}
	}
	for len(outdated) > max(0, p.desired-ready) {
		p.leaveLocked(outdated[0], p.whyOutdatedLocked(outdated[0]))
		outdated = outdated[1:]
	}
	for ; live > p.desired; live-- {
		p.leaveLocked(p.surplusLocked(), ReasonScale)
	}
}

// surplusLocked chooses the worker to end: a starting one, else the idle one with
// the highest number, else the busy one with the highest number.
func (p *Pool) surplusLocked() *member {
	rank := func(m *member) int {
		switch {
		case m.state == Starting:
			return 2
		case len(m.claims) == 0:
			return 1
		}
		return 0
	}
	var worst *member
	for _, m := range p.members {
		if !m.live() || p.outdatedLocked(m) {
			continue
		}
		if worst == nil || rank(m) > rank(worst) || rank(m) == rank(worst) && m.slot > worst.slot {
			worst = m
		}
	}
	return worst
}

// shrinkIdleLocked ends workers above Min that had nothing to do for
// InactivityTimeout, and returns when to look again: the end of a request wakes nobody.
func (p *Pool) shrinkIdleLocked(now time.Time) time.Duration {
	if p.set.InactivityTimeout == 0 {
		return forever
	}
	wait := forever
	for _, m := range slices.Backward(p.members) {
		if p.desired <= p.set.Min || m.state != Ready || m.release != p.current {
			continue
		}
		rest := p.set.InactivityTimeout
		if len(m.claims) == 0 {
			rest -= now.Sub(m.idleSince())
		}
		if rest > 0 {
			wait = min(wait, rest)
			continue
		}
		p.desired--
		if p.liveLocked() > p.desired { // else the ones that fail to start are given up
			p.leaveLocked(m, ReasonInactivity)
		}
	}
	return wait
}

// growLocked asks for one more worker when more requests wait than those that
// are starting will take.
func (p *Pool) growLocked() {
	coming := p.tally.starting + max(0, p.desired-p.tally.live)
	if p.desired < p.set.Max && p.queue.len() > coming*cmp.Or(p.current.threads, p.set.Threads) {
		p.desired++
		p.changedLocked()
	}
}

func (p *Pool) liveLocked() int {
	n := 0
	for _, m := range p.members {
		if m.live() && !p.outdatedLocked(m) {
			n++
		}
	}
	return n
}

func (p *Pool) leaveLocked(m *member, reason Reason) {
	m.leaveLocked(Draining, reason)
	p.changedLocked()
}

func (p *Pool) hasLocked(r *release) bool {
	return slices.ContainsFunc(p.members, func(m *member) bool { return m.release == r && m.live() })
}

// addLocked makes a member with the lowest number that none of its generation has.
func (p *Pool) addLocked(r *release, now time.Time) *member {
	slot := 1
	for _, m := range p.members { // which are in the order of their numbers
		if m.release == r && m.slot == slot {
			slot++
		}
	}
	m := &member{
		id:      fmt.Sprintf("%s/%d", p.site, slot),
		slot:    slot,
		release: r,
		threads: r.threads,
		started: now,
		chance:  rand.Float64(),
		leave:   make(chan struct{}),
		empty:   make(chan struct{}),
		ended:   make(chan struct{}),
	}
	p.joinLocked(m)
	return m
}

// joinLocked puts a member into its place among the others.
func (p *Pool) joinLocked(m *member) {
	i := sort.Search(len(p.members), func(i int) bool { return p.members[i].slot > m.slot })
	p.members = slices.Insert(p.members, i, m)
	m.turn = p.begun.PushFront(m)
}
