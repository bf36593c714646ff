package supervisor

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
)

// Inheritance is what the supervisor that ran in this process before an upgrade has
// handed over.
type Inheritance struct {
	handover
	baggage *process.Baggage
	sites   map[string]siteHandover // by name
}

// Inherit returns what was handed over to this process, or nil if this is no upgrade.
func Inherit() (*Inheritance, error) {
	in := &Inheritance{sites: map[string]siteHandover{}}
	var upgraded bool
	var err error
	if in.baggage, upgraded, err = process.Unpack(&in.handover); err != nil || !upgraded {
		return nil, err
	}
	for _, h := range in.Sites {
		in.sites[h.Name] = h
	}
	return in, nil
}

// lock returns the lock of the state directory, which is held.
func (in *Inheritance) lock() (*statedir.Lock, error) {
	f, err := in.baggage.Take(in.Lock, statedir.LockName)
	if err != nil {
		return nil, err
	}
	return statedir.InheritLock(f), nil
}

// listeners returns those of the front door with these numbers.
func (in *Inheritance) listeners(fds []int) (listeners []net.Listener, err error) {
	for _, fd := range fds {
		l, err := in.listener(fd)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

func (in *Inheritance) listener(fd int) (net.Listener, error) {
	f, err := in.baggage.Take(fd, "listener")
	if err != nil {
		return nil, err
	}
	defer f.Close() // FileListener has its own copy
	return net.FileListener(f)
}

// clients returns the connections of clients, which have waited during the upgrade.
func (in *Inheritance) clients() (clients []proxy.IdleConn) {
	take := func(fd int, c proxy.IdleConn) {
		var err error
		if c.File, err = in.baggage.Take(fd, "client"); err == nil {
			clients = append(clients, c)
		}
	}
	for _, fd := range in.Clients {
		take(fd, proxy.IdleConn{})
	}
	for _, fd := range in.Greeting {
		take(fd, proxy.IdleConn{TLS: true})
	}
	for _, c := range in.Partial {
		take(c.FD, proxy.IdleConn{Buffered: c.Read})
	}
	return clients
}

// answer answers the call that has asked for the upgrade, if there is one. It returns
// how long clients have waited.
func (in *Inheritance) answer(version string) (paused time.Duration) {
	paused = time.Since(in.Paused)
	f, err := in.baggage.Take(in.Caller, "caller")
	if err != nil { // nobody waits
		return paused
	}
	defer f.Close()
	_ = control.Answer(f, control.Upgraded{PID: os.Getpid(), From: in.Version, To: version, Paused: paused.Seconds()}) // the caller may have given up
	return paused
}

// welcome goes on where the supervisor before has stopped: it serves its clients and
// answers its caller.
func (in *Inheritance) welcome(s *Supervisor) {
	clients := in.clients()
	s.door.Adopt(clients)
	for _, c := range clients {
		c.File.Close()
	}
	in.tunnels(s)
	paused := in.answer(s.version)
	in.baggage.Close()
	for _, t := range s.sites.all() {
		t.unloadLater()
	}
	s.log.Info("upgraded", "from", in.Version, "to", s.version, "paused", paused, "clients", len(clients))
}

// site returns a site with its workers of before. Those that cannot be taken over are
// replaced, as if they had died.
func (in *Inheritance) site(s *Supervisor, c *config.Site, h siteHandover) (*site, error) {
	t := s.bareSite(c)
	t.generations, t.static, t.lastEnded = h.Generations, h.Static, h.LastExit
	t.failed.Store(h.Failed)
	t.lastEvent.Store(h.LastEvent)
	t.stats.Restore(h.Total, h.Errors, h.Measured)
	t.exits = h.Exits
	g, err := t.makeGeneration(c, code.FromSums(h.Code), h.Sockets, h.Paths)
	if err != nil {
		return nil, err
	}
	t.current = g
	if key := differingKey(h.Launched, c.LaunchValues()); key != "" {
		g.inherited, t.stale = h.Launched, key+" changed"
		g.threads = min(g.threads, h.threads(c.Threads)) // new workers come from the inherited zygote, or have an interpreter of their own
	}
	for _, dir := range h.Retired {
		t.retired = append(t.retired, &generation{cfg: c, sockets: dir})
	}
	if h.Python != nil && g.python != nil {
		if err := g.python.Inherit(in.baggage, *h.Python); err != nil {
			t.log.Warn("zygote not taken over", "error", err)
		}
	}
	for i, left := range h.Workers {
		m := &h.Pool.Workers[i]
		if m.Worker, err = in.worker(g, m.ID, left); err != nil {
			m.Worker = nil // a nil worker in the interface would not be nil
			t.log.Warn("worker not taken over", "worker", m.ID, "pid", left.process().PID, "error", err)
			in.end(&s.running, left.process(), c.ShutdownTimeout)
			continue
		}
		if left.process().Exit == nil { // otherwise its number may be another process's by now
			t.limitAgain(m.ID, m.Worker.(worker))
		}
	}
	t.tasks = newTasks(t, c)
	in.tasks(t, h.siteTasks)
	t.pool = t.newPool(&h.Pool)
	return t, nil
}

var errOtherKind = errors.New("the site is of another kind now")

func (in *Inheritance) worker(g *generation, id string, left workerHandover) (worker, error) {
	switch {
	case left.WSGI != nil && g.python != nil:
		return asWorker(g.python.InheritWorker(in.baggage, id, *left.WSGI))
	case left.Go != nil && g.program != nil:
		w, err := g.program.InheritWorker(in.baggage, id, *left.Go)
		return asWorker(goWorker{w}, err)
	}
	return nil, errOtherKind
}

// tasks takes over the tasks of a site. Those that sites.toml does not have any more are
// ended when the site starts.
func (in *Inheritance) tasks(t *site, tasks siteTasks) {
	for which, left := range tasks.all() {
		h := left.Handover
		h.Process, h.Old = in.process(t, which, left.Running), in.process(t, which, left.Old)
		t.tasks.Inherit(which, h)
	}
}

// leavingTasks takes over the tasks of a site that was removed and is in sites.toml again.
func (in *Inheritance) leavingTasks(t *site) {
	for _, h := range in.Leaving {
		if h.Site == t.name {
			in.tasks(t, h)
		}
	}
}

// process takes over a process of a task; nil is none.
func (in *Inheritance) process(t *site, which task.ID, left *process.Handover) task.Process {
	if left == nil {
		return nil
	}
	name := t.tasks.name(which)
	p, err := in.baggage.Inherit(*left, func(line string) { t.log.output(name, line) })
	if err != nil {
		t.log.Warn("process not taken over", string(which.Kind), name, "error", err)
		return nil // a nil process in the interface would not be nil
	}
	return p
}

// end stops a process from before the upgrade that is not needed any more. running waits
// for it.
func (in *Inheritance) end(running *sync.WaitGroup, left process.Handover, grace time.Duration) {
	p, err := in.baggage.Inherit(left, func(string) {})
	if err != nil { // it was taken over, or has exited
		return
	}
	running.Go(func() { p.Stop(grace) })
}

// endGoneSites stops the processes of sites that sites.toml does not have any more.
func (in *Inheritance) endGoneSites(s *Supervisor) {
	const grace = 5 * time.Second
	there := map[string]bool{}
	for _, t := range s.sites.all() {
		there[t.name] = true
	}
	for name, h := range in.sites {
		if there[name] {
			continue
		}
		s.log.Warn("site stopped: it is no longer in sites.toml", "site", name)
		for _, p := range h.processes() {
			in.end(&s.running, p, grace)
		}
		in.leaveTasks(s, name, h.siteTasks)
		for _, dir := range append(h.Retired, h.Sockets) {
			_ = os.RemoveAll(dir) // the next start removes what stays
		}
	}
	for _, h := range in.Leaving {
		if !there[h.Site] {
			in.leaveTasks(s, h.Site, h)
		}
	}
}

// leaveTasks lets the tasks of a removed site finish when the supervisor runs.
func (in *Inheritance) leaveTasks(s *Supervisor, name string, tasks siteTasks) {
	c := &config.Site{Name: name}
	t := s.bareSite(c)
	t.tasks = newTasks(t, c)
	in.tasks(t, tasks)
	s.sites.removed = append(s.sites.removed, t) // no other goroutine has it yet
}

// processes returns the workers and the zygote of a site.
func (h siteHandover) processes() (all []process.Handover) {
	for _, w := range h.Workers {
		all = append(all, w.process())
	}
	if h.Python != nil && h.Python.Zygote != nil {
		all = append(all, h.Python.Zygote.Process)
	}
	return all
}
