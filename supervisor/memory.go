package supervisor

import (
	"context"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/pool"
)

const (
	samplePeriod = time.Minute
	// restAfter is how many times inactivity_timeout a sleeping site keeps its
	// zygote: with it a request wakes the site in milliseconds.
	restAfter = 5
)

// sampleMemory puts the memory of every site that has processes into the journal
// once a minute.
func (s *Supervisor) sampleMemory(ctx context.Context) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, t := range s.sites.all() {
			st := t.status()
			if st.Memory.PSS == 0 { // a row a minute of nothing would crowd out the others
				continue
			}
			s.journal.RecordSample(journal.Sample{
				Site: t.name, Workers: len(st.Workers),
				PSS: st.Memory.PSS, USS: st.Memory.USS, RSS: st.Memory.RSS, ZygotePSS: st.Memory.ZygotePSS,
			})
		}
	}
}

// unloadLater ends the zygote of a site that goes on sleeping. It is called when
// a worker has ended.
func (t *site) unloadLater() {
	idle := t.config().InactivityTimeout
	if idle == 0 || t.pool.Status().State != pool.SiteSleeping {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rest != nil {
		t.rest.Stop()
	}
	t.rest = time.AfterFunc(restAfter*idle, func() {
		if r := t.python(); r != nil && t.pool.Status().State == pool.SiteSleeping {
			t.log.Info("zygote ended", "reason", "inactivity")
			r.Unload()
		}
	})
}
