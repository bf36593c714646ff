package pool

import "container/list"

// queue holds the claims that wait, first come first served. Claims that were requeued
// go to its front. The pool's mutex protects it.
type queue struct {
	list     list.List
	avoiding int // how many of the claims avoid some worker
}

func (q *queue) len() int { return q.list.Len() }

// passable reports whether all claims that wait avoid some worker, so that another claim
// may take a free worker before them.
func (q *queue) passable() bool { return q.list.Len() == q.avoiding }

func (q *queue) push(c *Claim) {
	if len(c.avoids) > 0 {
		q.avoiding++
	}
	if c.requeued {
		c.waiting = q.list.PushFront(c)
		return
	}
	c.waiting = q.list.PushBack(c)
}

// first returns the claim whose turn is next; nil if none waits.
func (q *queue) first() *Claim { return claimAt(q.list.Front()) }

// after returns the claim that comes after c; nil if there is none.
func (q *queue) after(c *Claim) *Claim { return claimAt(c.waiting.Next()) }

func claimAt(e *list.Element) *Claim {
	if e == nil {
		return nil
	}
	return e.Value.(*Claim)
}

func (q *queue) remove(c *Claim) {
	if len(c.avoids) > 0 {
		q.avoiding--
	}
	q.list.Remove(c.waiting)
	c.waiting = nil
}
