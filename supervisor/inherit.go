package supervisor

import (
	"errors"
	"net"
	"os"
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
// left to us.
type Inheritance struct {
	state
	baggage *process.Baggage
	sites   map[string]siteState
}

// Inherit returns what was left to us, nil when this is a start as any other.
func Inherit() (*Inheritance, error) {
	in := &Inheritance{sites: map[string]siteState{}}
	var left bool
	var err error
	if in.baggage, left, err = process.Unpack(&in.state); err != nil || !left {
		return nil, err
	}
	for _, st := range in.state.Sites {
		in.sites[st.Name] = st
	}
	return in, nil
}

// lock returns the lock that is held already.
func (in *Inheritance) lock() (*statedir.Lock, error) {
	f, err := in.baggage.Take(in.Lock, statedir.LockName)
	if err != nil {
		return nil, err
	}
	return statedir.InheritLock(f), nil
}

func (in *Inheritance) listeners() (listeners []net.Listener, err error) {
	for _, fd := range in.Listen {
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

// clients are the connections that waited for the upgrade to be over.
func (in *Inheritance) clients() (clients []proxy.IdleConn) {
	take := func(fd int, read []byte) {
		if f, err := in.baggage.Take(fd, "client"); err == nil {
			clients = append(clients, proxy.IdleConn{File: f, Buffered: read})
		}
	}
	for _, fd := range in.Clients {
		take(fd, nil)
	}
	for _, c := range in.Begun {
		take(c.FD, c.Read)
	}
	return clients
}

// answer tells whoever asked for the upgrade.
func (in *Inheritance) answer(version string) time.Duration {
	paused := time.Since(in.Paused)
	f, err := in.baggage.Take(in.Caller, "caller")
	if err != nil { // nobody waits
		return paused
	}
	defer f.Close()
	_ = control.Answer(f, control.Upgraded{PID: os.Getpid(), From: in.Version, To: version, Paused: paused.Seconds()}) // who asked may have left
	return paused
}

// inheritSite returns a site with the workers that were left to us. What can not be
// taken over is replaced, as what has died would be.
func (s *Supervisor) inheritSite(c *config.Site, st siteState) (*site, error) {
	t := s.bareSite(c)
	t.generations, t.static, t.lastEnded = st.Generations, st.Static, st.LastExit
	t.failed.Store(st.Failed)
	t.stats.Restore(st.Total, st.Errors)
	g, err := t.makeGeneration(c, code.FromSums(st.Code), st.Sockets, st.Sources)
	if err != nil {
		return nil, err
	}
	t.current = g
	if key := otherThan(st.Built, c.LaunchValues()); key != "" {
		g.inherited, t.stale = st.Built, key+" changed"
		g.threads = min(g.threads, st.threads(c.Threads)) // of its zygote, or of a new interpreter
	}
	for _, dir := range st.Retired {
		t.retired = append(t.retired, &generation{cfg: c, sockets: dir})
	}
	b := s.inherited.baggage
	if st.Python != nil && g.python != nil {
		if err := g.python.Inherit(b, *st.Python); err != nil {
			t.log.Warn("not taken over", "error", err)
		}
	}
	for i, left := range st.Workers {
		m := &st.Pool.Workers[i]
		if m.Worker, err = g.inheritWorker(b, m.ID, left); err != nil {
			m.Worker = nil // a nil worker in the interface would not be nil
			t.log.Warn("worker not taken over", "worker", m.ID, "pid", left.process().PID, "error", err)
			s.end(left.process(), c.ShutdownTimeout)
			continue
		}
		if left.process().Exit == nil { // its number may be another's by now
			t.limitAgain(m.ID, m.Worker.(worker))
		}
	}
	t.tasks = newTasks(t, c)
	t.inheritTasks(st)
	t.pool = t.newPool(&st.Pool)
	return t, nil
}

var errOtherKind = errors.New("the site is of another kind now")

func (g *generation) inheritWorker(b *process.Baggage, id string, left workerState) (worker, error) {
	switch {
	case left.WSGI != nil && g.python != nil:
		return asWorker(g.python.InheritWorker(b, id, *left.WSGI))
	case left.Go != nil && g.program != nil:
		w, err := g.program.InheritWorker(b, id, *left.Go)
		return asWorker(goWorker{w}, err)
	}
	return nil, errOtherKind
}

// inheritTasks takes over the tasks that sites.toml still has, and ends the others.
func (t *site) inheritTasks(st siteState) {
	for name, left := range st.Services {
		t.inheritTask(task.ID{Kind: task.KindService, Name: name}, left)
	}
	for name, left := range st.Jobs {
		t.inheritTask(task.ID{Kind: task.KindJob, Name: name}, left)
	}
}

func (t *site) inheritTask(which task.ID, left taskState) {
	h := left.Handover
	switch wanted := t.tasks.Has(which); {
	case !wanted && left.Running != nil:
		t.super.end(*left.Running, t.config().ShutdownTimeout)
		return
	case !wanted:
		return
	case left.Running != nil:
		id := t.taskID(which)
		p, err := t.super.inherited.baggage.Inherit(*left.Running, func(line string) { t.output(id, line) })
		if err != nil {
			t.log.Warn("not taken over", string(which.Kind), id, "error", err)
		} else {
			h.Process = p
		}
	}
	t.tasks.Inherit(which, h)
}

// end ends a process of before that nobody wants any more.
func (s *Supervisor) end(left process.Handover, grace time.Duration) {
	p, err := s.inherited.baggage.Inherit(left, func(string) {})
	if err != nil { // it has been taken, or it is gone
		return
	}
	s.running.Go(func() { p.Stop(grace) })
}

// endGoneSites ends what sites have left that are not there any more.
func (s *Supervisor) endGoneSites() {
	const grace = 5 * time.Second
	there := map[string]bool{}
	for _, t := range s.sites.all() {
		there[t.name] = true
	}
	for name, st := range s.inherited.sites {
		if there[name] {
			continue
		}
		s.log.Warn("site ends", "site", name)
		for _, w := range st.Workers {
			s.end(w.process(), grace)
		}
		if st.Python != nil && st.Python.Zygote != nil {
			s.end(st.Python.Zygote.Process, grace)
		}
		for _, tasks := range []map[string]taskState{st.Services, st.Jobs} {
			for _, k := range tasks {
				if k.Running != nil {
					s.end(*k.Running, grace)
				}
			}
		}
		for _, dir := range append(st.Retired, st.Sockets) {
			_ = os.RemoveAll(dir) // what stays is wiped by the next start
		}
	}
}
