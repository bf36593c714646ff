package supervisor

import (
	"context"
	"sync"
)

// drain refuses new connections, lets requests in flight finish, those of each site
// for at most its graceful_timeout, and stops the pools.
func (s *Supervisor) drain(force context.Context) {
	sites := s.all()                // there will be no more
	for _, l := range s.listeners { // which the servers leave to us: who comes now is refused, and does not wait
		l.Close()
	}
	ctx, cut := context.WithTimeout(force, s.longestGrace())
	defer cut()
	shut := s.shutServers(ctx)
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

// shutServers lets the front door and the dashboard end. The channel is closed when
// they have, at the latest soon after ctx has ended.
func (s *Supervisor) shutServers(ctx context.Context) <-chan struct{} {
	shut := make(chan struct{})
	var servers sync.WaitGroup
	for _, server := range s.servers {
		servers.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				s.log.Warn("requests in flight are cut", "limit", "graceful_timeout", "error", err)
				server.Close()
			}
		})
	}
	go func() {
		servers.Wait()
		close(shut)
	}()
	return shut
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
