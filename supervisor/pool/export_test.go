package pool

// Behind tells whether the claim waits for its turn at a worker that has another
// request.
func (c *Claim) Behind() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.behind
}
