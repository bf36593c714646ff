package supervisor

import (
	"context"
	"os"
	"sync"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// Status returns what the supervisor and every site are doing.
func (s *Supervisor) Status(context.Context) control.Status {
	st := control.Status{
		Supervisor: control.SupervisorStatus{
			PID:     os.Getpid(),
			Version: s.version,
			Started: s.started.UTC(),
			Listen:  s.Addrs(),
			Memory:  memoryOf(os.Getpid()),
		},
		Sites: make([]control.SiteStatus, len(s.sites)),
	}
	var wg sync.WaitGroup
	for i, site := range s.sites {
		wg.Go(func() { st.Sites[i] = site.status() })
	}
	wg.Wait()
	return st
}

func (t *site) status() control.SiteStatus {
	ps, counts := t.pool.Status(), t.stats.Counts()
	st := control.SiteStatus{
		Name:       t.cfg.Name,
		ServerName: t.cfg.ServerName,
		Aliases:    append([]string{}, t.cfg.Aliases...), // [] in JSON, not null
		Kind:       string(t.cfg.Kind),
		State:      string(ps.State),
		Generation: ps.Generation,
		Settings:   t.cfg.Settings,
		Processes:  control.Processes{Desired: ps.Desired, Ready: ps.Ready},
		Threads:    t.cfg.Threads,
		Requests: control.Requests{
			Total: counts.Total, Active: ps.Active, Queued: ps.Queued, Errors: counts.Errors,
			PerSecond: counts.PerSecond, P50: counts.P50.Seconds(), P99: counts.P99.Seconds(),
		},
		Restarts: ps.Restarts,
		LastExit: describeExit(ps.LastExit),
		Workers:  []control.WorkerStatus{},
	}
	if ps.LastError != nil {
		st.LastError = describeError(ps.LastError)
	}
	for _, w := range ps.Workers {
		ws := workerStatus(w)
		st.Workers = append(st.Workers, ws)
		st.Memory.PSS += ws.Memory.PSS
		st.Memory.USS += ws.Memory.USS
		st.Memory.RSS += ws.Memory.RSS
	}
	return st
}

func workerStatus(w pool.WorkerStatus) control.WorkerStatus {
	ws := control.WorkerStatus{ID: w.ID, State: w.State, Started: w.Started.UTC(), Requests: w.Requests, Active: w.Active}
	if p, ok := w.Worker.(worker); ok {
		ws.PID, ws.Socket = p.PID(), p.Socket()
		ws.Memory = memoryOf(p.PID())
	}
	return ws
}

// memoryOf returns what a process holds; nothing when it has just ended.
func memoryOf(pid int) control.Memory {
	m, _ := process.ReadMemory(pid)
	return control.Memory{PSS: m.PSS, USS: m.USS, RSS: m.RSS}
}
