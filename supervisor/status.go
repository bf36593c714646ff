package supervisor

import (
	"cmp"
	"context"
	"os"
	"sync"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// About returns who we are.
func (s *Supervisor) About() control.About {
	cfg := s.config()
	return control.About{PID: os.Getpid(), Config: cfg.Path, Says: cfg.StateDir, StateDir: s.dirs.state}
}

// Status returns what the supervisor and every site are doing.
func (s *Supervisor) Status(context.Context) status.Status {
	st := status.Status{
		Supervisor: status.Supervisor{
			PID:     os.Getpid(),
			Version: s.version,
			Started: s.started.UTC(),
			Listen:  s.Addrs(),
			Memory:  memoryOf(os.Getpid()),
			Failed:  s.failed.Load(),
			Refused: s.refusals.Counts(),
		},
	}
	sites := s.sites.all()
	st.Sites = make([]status.Site, len(sites))
	var wg sync.WaitGroup
	for i, site := range sites {
		wg.Go(func() { st.Sites[i] = site.status() })
	}
	wg.Wait()
	return st
}

func (t *site) status() status.Site {
	ps, counts, c := t.pool.Status(), t.stats.Counts(), t.config()
	st := status.Site{
		Name:       c.Name,
		ServerName: c.ServerName,
		Aliases:    append([]string{}, c.Aliases...), // [] in JSON, not null
		Kind:       string(c.Kind),
		State:      string(ps.State),
		Generation: ps.Generation,
		User:       userOf(c),
		Settings:   cmp.Or(c.Settings, c.WSGI, c.App), // a site without any is known by what it runs
		Processes:  status.Processes{Desired: ps.Desired, Ready: ps.Ready},
		Threads:    ps.Threads,
		Requests: status.Requests{
			Total: counts.Total, Active: ps.Active, Queued: ps.Queued, Errors: counts.Errors,
			PerSecond: counts.PerSecond, P50: counts.P50.Seconds(), P99: counts.P99.Seconds(),
		},
		Restarts: ps.Restarts,
		LastExit: t.lastExit(ps),
		Workers:  []status.Worker{},
	}
	st.Failed = t.failed.Load()
	st.LastError = t.meter.Problem()
	if ps.LastError != nil {
		st.LastError = describeError(ps.LastError)
	}
	var sum process.Memory
	for _, w := range ps.Workers {
		ws, m := workerStatus(w)
		st.Workers = append(st.Workers, ws)
		sum = sum.Add(m)
	}
	st.Memory.Saved = sum.Unshared - sum.PSS
	st.Preload, st.Warmup = t.preload(), t.warmup()
	if pid := t.zygotePID(); pid != 0 {
		m, _ := process.ReadMemory(pid) // it may just have ended
		sum = sum.Add(m)
		st.Memory.ZygotePSS = m.PSS
		st.Memory.Saved -= m.PSS
	}
	st.Memory.Memory = memory(sum)
	st.Services, st.Cron = taskStatus(t.tasks)
	return st
}

// preload tells how the site's workers share memory.
func (t *site) preload() string {
	if r := t.python(); r != nil {
		return r.PreloadNote()
	}
	return ""
}

// warmup tells which warm-up requests have warmed nothing, and why.
func (t *site) warmup() []string {
	lines := []string{} // [] in JSON, not null
	if r := t.python(); r != nil {
		for _, w := range r.WarmupResults() {
			if w.Problem != "" {
				lines = append(lines, w.Path+": "+w.Problem)
			}
		}
	}
	return lines
}

func (t *site) zygotePID() int {
	if r := t.python(); r != nil {
		return r.ZygotePID()
	}
	return 0
}

func (t *site) python() *wsgi.Runtime {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current.python
}

func workerStatus(w pool.WorkerStatus) (status.Worker, process.Memory) {
	ws := status.Worker{ID: w.ID, State: w.State, Started: w.Started.UTC(), Requests: w.Requests, Active: w.Active}
	p, ok := w.Worker.(worker)
	if !ok {
		return ws, process.Memory{}
	}
	m, _ := process.ReadMemory(p.PID()) // it may just have ended
	ws.PID, ws.Socket, ws.Memory = p.PID(), p.Socket(), memory(m)
	return ws, m
}

func memoryOf(pid int) status.Memory {
	m, _ := process.ReadMemory(pid)
	return memory(m)
}

func memory(m process.Memory) status.Memory {
	return status.Memory{PSS: m.PSS, USS: m.USS, RSS: m.RSS}
}

// userOf names who a site's processes run as; "": as the supervisor.
func userOf(c *config.Site) string {
	if c.Account == nil {
		return ""
	}
	return c.Account.Name
}
