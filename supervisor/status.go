package supervisor

import (
	"cmp"
	"context"
	"os"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// About returns what tells this supervisor from others.
func (s *Supervisor) About() control.About {
	cfg := s.config()
	return control.About{PID: os.Getpid(), Config: cfg.Path, Says: cfg.StateDir, StateDir: s.dirs.state}
}

// Status returns what the supervisor and every site are doing, from measurements of now.
func (s *Supervisor) Status(ctx context.Context) status.Status { return s.StatusWithin(ctx, 0) }

// StatusWithin is Status from measurements of memory that are up to maxAge old.
func (s *Supervisor) StatusWithin(_ context.Context, maxAge time.Duration) status.Status {
	return s.statusOf(s.measures.look(maxAge))
}

// statusOf is Status from the measurements of a look.
func (s *Supervisor) statusOf(look *look) status.Status {
	st := status.Status{
		Supervisor: status.Supervisor{
			PID:       os.Getpid(),
			Version:   s.version,
			Started:   s.started.UTC(),
			Listen:    s.Addrs(),
			ListenTLS: append([]string{}, addrsOf(s.endpoints.secure)...), // [] in JSON, not null
			Metrics:   s.endpoints.metrics.addr(),
			Memory:    memory(look.memory(os.Getpid())),
			Failed:    s.reloader.failed.Load(),
			Refused:   s.refusals.Counts(),
		},
	}
	select {
	case <-s.life.serving:
		c := s.door.Connections()
		st.Supervisor.Connections = status.Connections{
			Open: c.Open, Most: c.Limits.Connections, MostPerIP: c.Limits.PerAddress, Refused: c.Refused, RefusedPerIP: c.RefusedPerAddress,
		}
	default: // Run has not opened the door yet
	}
	sites := s.sites.all()
	st.Sites = make([]status.Site, len(sites))
	var wg sync.WaitGroup
	for i, site := range sites {
		wg.Go(func() { st.Sites[i] = site.status(look) })
	}
	wg.Wait()
	if s.config().MergePages {
		s.merging.status(&st, zygotesOf(sites))
	}
	for _, t := range s.sites.leaving() {
		if len(t.tasks.Processes()) > 0 {
			st.Sites = addLeaving(st.Sites, t.leavingStatus(look))
		}
	}
	s.addOthers(&st, zygotesOf(sites), look)
	s.measures.keep(look)
	return st
}

// zygotesOf returns the zygote of each site; 0 if it has none.
func zygotesOf(sites []*site) (pids []int) {
	for _, t := range sites {
		pid := 0
		if python := t.python(); python != nil {
			pid = python.ZygotePID()
		}
		pids = append(pids, pid)
	}
	return pids
}

// addLeaving adds the status of a site that was removed. If it has come back, its tasks
// are those of the new site, which starts none before they have ended.
func addLeaving(sites []status.Site, leaving status.Site) []status.Site {
	for i := range sites {
		if sites[i].Name == leaving.Name {
			sites[i].Services, sites[i].Cron = leaving.Services, leaving.Cron
			return sites
		}
	}
	return append(sites, leaving)
}

// leavingStatus returns the status of a site that was removed, of which only tasks run.
func (t *site) leavingStatus(l *look) status.Site {
	c := t.config()
	st := status.Site{
		Name: c.Name, ServerName: c.ServerName, Aliases: []string{}, URL: c.URL(t.super.Addrs(), addrsOf(t.super.endpoints.secure)), Kind: string(c.Kind), State: string(pool.SiteStopped),
		Warmup: []string{}, Workers: []status.Worker{}, Certificates: []status.Certificate{},
	}
	st.Services, st.Cron = t.tasks.status(l)
	return st
}

// status returns what the site is doing.
func (t *site) status(l *look) status.Site {
	ps, counts, c := t.pool.Status(), t.stats.Counts(), t.config()
	st := status.Site{
		Name:       c.Name,
		ServerName: c.ServerName,
		Aliases:    append([]string{}, c.Aliases...), // [] in JSON, not null
		URL:        c.URL(t.super.Addrs(), addrsOf(t.super.endpoints.secure)),
		Kind:       string(c.Kind),
		State:      string(ps.State),
		Generation: ps.Generation,
		User:       userOf(c),
		Settings:   cmp.Or(c.Settings, c.WSGI, c.App), // a site without settings is shown by its program
		Processes:  processesOf(ps, c),
		Threads:    ps.Threads,
		Requests: status.Requests{
			Total: counts.Total, Active: ps.Active, Queued: ps.Queued, Errors: counts.Errors, LastHour: counts.LastHour,
			PerSecond: counts.PerSecond, P50: counts.P50.Seconds(), P99: counts.P99.Seconds(),
		},
		Restarts:  ps.Restarts,
		LastExit:  t.lastExit(ps),
		LastEvent: t.lastEvent.Load(),
		Workers:   []status.Worker{},
	}
	st.Tunnels.Open, st.Tunnels.Refused = t.tunnels.Counts()
	st.Certificates = t.super.certificateStatus(t.name)
	st.Failed, st.Maintenance, st.Paused = t.failed.Load(), t.maintenanceStatus(), t.pauseStatus()
	st.LastError = t.meter.Problem()
	if ps.LastError != nil {
		st.LastError = describeError(ps.LastError)
	}
	python := t.python()
	l.read(processesOfPool(ps, python))
	var sum process.Memory
	for _, w := range ps.Workers {
		ws, m := workerStatus(w, l)
		st.Workers = append(st.Workers, ws)
		sum = sum.Add(m)
	}
	st.Memory.Saved = sum.Unshared - sum.PSS
	current, _ := t.launchedFrom()
	st.SelfRoll = t.warmup.status(current)
	st.Warmup = warmupProblems(python)
	if python != nil {
		st.Preload = python.PreloadNote()
		m := l.memory(python.ZygotePID())
		sum = sum.Add(m)
		st.Memory.ZygotePSS = m.PSS
		st.Memory.Saved -= m.PSS
	}
	st.Memory.Memory = memory(sum)
	st.Services, st.Cron = t.tasks.status(l)
	return st
}

// warmupProblems returns which warm-up requests have warmed nothing, and why. r may be nil.
func warmupProblems(r *wsgi.Runtime) []string {
	lines := []string{} // [] in JSON, not null
	if r == nil {
		return lines
	}
	for _, w := range r.WarmupResults() {
		if w.Problem != "" {
			lines = append(lines, w.Path+": "+w.Problem)
		}
	}
	return lines
}

// processesOf returns how many workers a site has and should have.
func processesOf(ps pool.Status, c *config.Site) status.Processes {
	p := status.Processes{Desired: ps.Desired, Ready: ps.Ready, Min: ps.Min, Max: ps.Max}
	if ps.Min != c.Processes.Min || ps.Max != c.Processes.Max { // which a reload leaves only what scale has set
		p.File = &status.Range{Min: c.Processes.Min, Max: c.Processes.Max}
	}
	return p
}

// processesOfPool returns the pids of a site's workers and its zygote.
func processesOfPool(ps pool.Status, python *wsgi.Runtime) (pids []int) {
	for _, w := range ps.Workers {
		if w.Worker != nil {
			pids = append(pids, w.Worker.PID())
		}
	}
	if python != nil {
		pids = append(pids, python.ZygotePID())
	}
	return pids
}

// workerStatus returns what a worker is doing, and its memory.
func workerStatus(w pool.WorkerStatus, l *look) (status.Worker, process.Memory) {
	ws := status.Worker{
		ID: w.ID, State: w.State, Started: w.Started.UTC(), Requests: w.Requests, Active: w.Active,
		Generation: w.Generation, Since: w.Since.UTC(), Tunnels: w.Holds, Running: []status.Running{},
	}
	for _, r := range w.Running {
		ws.Running = append(ws.Running, status.Running{What: r.What, Since: r.Since.UTC()})
	}
	p, ok := w.Worker.(worker)
	if !ok {
		return ws, process.Memory{}
	}
	m := l.memory(p.PID())
	cpu, _ := process.ReadCPUTime(p.PID()) // it may just have exited
	ws.CPU = cpu.Seconds()
	ws.PID, ws.Socket, ws.Memory = p.PID(), p.Socket(), memory(m)
	return ws, m
}

// memoryOfProcess returns the memory of a process; none if it has exited, or pid is 0.
func memoryOfProcess(pid int) process.Memory {
	if pid == 0 {
		return process.Memory{}
	}
	m, _ := process.ReadMemory(pid) // it may just have exited
	return m
}

func memory(m process.Memory) status.Memory {
	return status.Memory{PSS: m.PSS, USS: m.USS, RSS: m.RSS}
}

// userOf returns the user that a site's processes run as; "" is that of the supervisor.
func userOf(c *config.Site) string {
	if c.Account == nil {
		return ""
	}
	return c.Account.Name
}
