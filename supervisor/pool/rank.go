package pool

import "container/heap"

// rank is a heap of the workers that take requests, in the order in which they get them:
// workers with a free thread come first, then the least busy, then the one with the
// fewest holds, then the one used last,
// whose memory is warm, then the one with the lowest slot. A worker that no longer takes
// requests stays until best finds it at the top.
type rank struct {
	members  []*member
	settings *Settings // the pool's
}

// best returns the worker that gets the next request; nil if none has a free thread.
func (r *rank) best() *member {
	for len(r.members) > 0 {
		m := r.members[0]
		switch {
		case !m.open():
			heap.Pop(r)
		case m.full(r.settings):
			return nil
		default:
			return m
		}
	}
	return nil
}

// add puts a worker into the rank, or in its right place if it is there already.
func (r *rank) add(m *member) {
	if m.place == 0 {
		heap.Push(r, m)
		return
	}
	heap.Fix(r, m.place-1)
}

// changed moves a worker whose claims have changed to its right place, if it is in the rank.
func (r *rank) changed(m *member) {
	if m.place > 0 {
		heap.Fix(r, m.place-1)
	}
}

// remove takes a worker out, if it is in the rank.
func (r *rank) remove(m *member) {
	if m.place > 0 {
		heap.Remove(r, m.place-1)
	}
}

// Len, Less, Swap, Push and Pop are for package heap.
func (r *rank) Len() int { return len(r.members) }

func (r *rank) Less(i, j int) bool {
	a, b := r.members[i], r.members[j]
	if full := a.full(r.settings); full != b.full(r.settings) {
		return !full
	}
	if len(a.claims) != len(b.claims) {
		return len(a.claims) < len(b.claims)
	}
	if len(a.holds) != len(b.holds) {
		return len(a.holds) < len(b.holds)
	}
	if !a.used.Equal(b.used) {
		return a.used.After(b.used)
	}
	return a.slot < b.slot
}

func (r *rank) Swap(i, j int) {
	r.members[i], r.members[j] = r.members[j], r.members[i]
	r.members[i].place, r.members[j].place = i+1, j+1
}

func (r *rank) Push(m any) {
	r.members = append(r.members, m.(*member))
	m.(*member).place = len(r.members)
}

func (r *rank) Pop() any {
	m := r.members[len(r.members)-1]
	r.members = r.members[:len(r.members)-1]
	m.place = 0
	return m
}
