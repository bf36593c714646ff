package pool

import "container/list"

// queue is the requests that wait, first come first served.
type queue struct{ list list.List }

func (q *queue) len() int { return q.list.Len() }

func (q *queue) push(c *Claim) {
	if c.again {
		c.waiting = q.list.PushFront(c)
		return
	}
	c.waiting = q.list.PushBack(c)
}

func (q *queue) first() *Claim { return q.list.Front().Value.(*Claim) }

func (q *queue) pop() *Claim {
	c := q.first()
	q.remove(c)
	return c
}

func (q *queue) remove(c *Claim) {
	q.list.Remove(c.waiting)
	c.waiting = nil
}
