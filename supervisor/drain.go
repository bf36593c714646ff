package supervisor

import (
	"context"
	"sync"
)

// drain refuses new connections, lets requests in flight finish, those of each site for
// at most its graceful_timeout, and stops the pools.
func (s *Supervisor) drain(force context.Context) {
	sites := s.sites.all()   // none is added any more
	s.endpoints.closeFront() // clients that connect now are refused, and do not wait
	ctx, cut := context.WithTimeout(force, longestGrace(sites))
	defer cut()
	shut := s.endpoints.shutDown(ctx, s.log)
	var finishing, ending sync.WaitGroup
	for _, t := range sites {
		t.pool.RefuseHeld()
		mine, cancel := context.WithTimeout(force, t.config().GracefulTimeout)
		finishing.Go(func() { t.awaitIdle(mine) })
		ending.Go(func() {
			defer cancel()
			select {
			case <-shut:
			case <-mine.Done():
				endGrace(t)
			}
			t.pool.Stop()
		})
	}
	finishing.Wait()
	if !allIdle(sites) {
		cut() // the requests that are left belong to sites whose time is over
	}
	ending.Wait()
	<-shut
}

// endGrace gives the requests of a site no more time.
func endGrace(t *site) {
	set, st := settingsOf(t.config()), t.pool.Status()
	set.Min, set.Max = st.Min, st.Max // as they may have been scaled
	set.GracefulTimeout = 0
	t.pool.Apply(set)
}

// awaitIdle returns when no client of the site waits for anything, or when ctx has ended.
func (t *site) awaitIdle(ctx context.Context) {
	for !t.isIdle() && ctx.Err() == nil {
		t.pool.AwaitIdle(ctx)
		t.stats.AwaitIdle(ctx)
	}
}

func (t *site) isIdle() bool {
	st := t.pool.Status()
	return st.Active+st.Queued+t.stats.Active() == 0
}

func allIdle(sites []*site) bool {
	for _, t := range sites {
		if !t.isIdle() {
			return false
		}
	}
	return true
}
