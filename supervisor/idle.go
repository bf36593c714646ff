package supervisor

import (
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/limits"
	"github.com/multisite/multisite/supervisor/pool"
)

// replaceIdle replaces one worker of the site by a fresh fork if it is idle, holds much
// more memory than that, and the site has little to do.
func (t *site) replaceIdle(now time.Time) {
	st, python := t.pool.Status(), t.python()
	if !t.config().ReplaceIdle || python == nil || python.ZygotePID() == 0 || st.State != pool.SiteRunning ||
		st.Queued > 0 || 2*st.Active > st.Ready {
		return
	}
	var workers []limits.Worker
	for _, w := range st.Workers {
		if w.Worker == nil {
			return // one is being replaced already
		}
		workers = append(workers, limits.Worker{Key: w.Worker, PID: w.Worker.PID(), Requests: w.Requests, Active: w.Active})
	}
	grown := t.idle.Find(now, workers)
	if returned := t.idle.Returned(); returned > 0 {
		t.log.Info("memory returned", "reason", string(pool.ReasonIdle), "bytes", returned)
		t.super.journal.Record(journal.Event{Site: t.name, Kind: "memory returned", Reason: string(pool.ReasonIdle),
			Detail: fmt.Sprintf("%.1f MB: a fresh worker has replaced an idle one", float64(returned)/1e6)})
	}
	switch {
	case grown == nil:
	case !t.pool.Recycle(grown.Worker.Key.(pool.Worker), pool.ReasonIdle):
		t.idle.Missed()
	default:
		t.log.Info("idle worker is replaced by a fresh one", "pid", grown.Worker.PID, "uss", grown.USS, "fresh", grown.Fresh)
	}
}
