package pool

import "container/list"

// queue is the requests that wait, first come first served.
type queue struct {
	list  list.List
	picky int // of them, those that shun a worker
}

func (q *queue) len() int { return q.list.Len() }

// passable tells whether all who wait shun the worker that is free.
func (q *queue) passable() bool { return q.list.Len() == q.picky }

func (q *queue) push(c *Claim) {
	if len(c.shuns) > 0 {
		q.picky++
	}
	if c.again {
		c.waiting = q.list.PushFront(c)
		return
	}
	c.waiting = q.list.PushBack(c)
}

// first returns the claim whose turn is next; nil: none waits.
func (q *queue) first() *Claim { return claimAt(q.list.Front()) }

// after returns the claim that comes after c; nil: none does.
func (q *queue) after(c *Claim) *Claim { return claimAt(c.waiting.Next()) }

func claimAt(e *list.Element) *Claim {
	if e == nil {
		return nil
	}
	return e.Value.(*Claim)
}

func (q *queue) remove(c *Claim) {
	if len(c.shuns) > 0 {
		q.picky--
	}
	q.list.Remove(c.waiting)
	c.waiting = nil
}
