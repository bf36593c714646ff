package pool

import "container/heap"

// rank has the workers that take requests, in the order in which they get them: those
// with a free thread first, of those the least busy, of those the one used last, whose
// memory is warm, and at last the one with the lowest number. One that takes none any more leaves when it is found at the top.
type rank struct {
	members []*member
	set     *Settings
}

func (r *rank) Len() int { return len(r.members) }

func (r *rank) Less(i, j int) bool {
	a, b := r.members[i], r.members[j]
	if full := a.full(r.set); full != b.full(r.set) {
		return !full
	}
	if len(a.claims) != len(b.claims) {
		return len(a.claims) < len(b.claims)
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

// Push and Pop are heap.Interface's.
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

// add takes in a worker that takes requests, or has changed.
func (r *rank) add(m *member) {
	if m.place == 0 {
		heap.Push(r, m)
		return
	}
	heap.Fix(r, m.place-1)
}

// changed moves a worker that is in it to where it belongs now.
func (r *rank) changed(m *member) {
	if m.place > 0 {
		heap.Fix(r, m.place-1)
	}
}

// remove forgets a worker.
func (r *rank) remove(m *member) {
	if m.place > 0 {
		heap.Remove(r, m.place-1)
	}
}

// best returns the worker that gets the next request; nil: none is free.
func (r *rank) best() *member {
	for len(r.members) > 0 {
		m := r.members[0]
		switch {
		case !m.open():
			heap.Pop(r)
		case m.full(r.set):
			return nil
		default:
			return m
		}
	}
	return nil
}
