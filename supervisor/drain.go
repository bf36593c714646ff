package supervisor

import (
	"context"
	"sync"
)

// drain refuses new connections, lets requests in flight finish, those of each site
// for at most its graceful_timeout, and stops the pools.
func (s *Supervisor) drain(force context.Context) {
	sites := s.sites.all()   // none is added any more
	s.endpoints.closeFront() // clients that connect now are refused, and do not wait
	ctx, cut := context.WithTimeout(force, longestGrace(s.sites.all()))
	defer cut()
	shut := s.endpoints.shutDown(ctx, s.log)
	var finishing, ending sync.WaitGroup
	for _, t := range sites {
		mine, cancel := context.WithTimeout(force, t.config().GracefulTimeout)
		finishing.Go(func() { t.quiet(mine) })
		ending.Go(func() {
			defer cancel()
			select {
			case <-shut:
			case <-mine.Done():
				t.hurry()
			}
			t.pool.Stop()
		})
	}
	finishing.Wait()
	if !eachQuiet(sites) {
		cut() // what is left belongs to sites that had their time
	}
	ending.Wait()
	<-shut
}

// hurry gives requests no more time.
func (t *site) hurry() {
	set, st := settingsOf(t.config()), t.pool.Status()
	set.Min, set.Max = st.Min, st.Max // as they may have been scaled
	set.GracefulTimeout = 0
	t.pool.Apply(set)
}

// quiet returns when no client of the site waits for anything, or when ctx has ended.
func (t *site) quiet(ctx context.Context) {
	for !t.isQuiet() && ctx.Err() == nil {
		t.pool.AwaitIdle(ctx)
		t.stats.AwaitIdle(ctx)
	}
}

func (t *site) isQuiet() bool {
	st := t.pool.Status()
	return st.Active+st.Queued+t.stats.Active() == 0
}

func eachQuiet(sites []*site) bool {
	for _, t := range sites {
		if !t.isQuiet() {
			return false
		}
	}
	return true
}
