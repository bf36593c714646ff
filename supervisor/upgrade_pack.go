package supervisor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/pool"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/goapp"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// handoverVersion grows when the meaning of a handover changes, or when a zygote of an
// older version would not understand a newer supervisor.
const handoverVersion = 1

// handover is what one image of the supervisor hands over to the next. Its JSON is read
// by other versions of this program. Descriptors are numbers in the baggage; -1 is none.
type handover struct {
	Version   string           `json:"version"` // of the program that hands over
	Started   time.Time        `json:"started"`
	Paused    time.Time        `json:"paused"` // since when clients wait
	Lock      int              `json:"lock"`
	Listen    []int            `json:"listen"` // listeners of the front door
	ListenTLS []int            `json:"listen_tls,omitempty"`
	External  bool             `json:"handed"` // they are not those of sites.toml
	Page      int              `json:"page"`   // listener of the dashboard
	PageOf    string           `json:"page_of"`
	PageToken string           `json:"page_token,omitempty"`
	Metrics   int              `json:"metrics"` // listener for Prometheus; counts only with MetricsOf
	MetricsOf string           `json:"metrics_of,omitempty"`
	Control   int              `json:"control"`               // listener of the control socket
	Caller    int              `json:"caller"`                // connection of the caller that waits for the answer
	Clients   []int            `json:"clients"`               // idle connections
	Greeting  []int            `json:"clients_tls,omitempty"` // connections whose TLS handshake has not begun
	StateDir  string           `json:"state_dir,omitempty"`
	LogDir    string           `json:"log_dir,omitempty"`
	Failed    *status.Failure  `json:"failed,omitempty"`
	Refused   map[int]int64    `json:"refused,omitempty"`
	Partial   []partialRequest `json:"begun,omitempty"` // other connections
	Tunnels   []tunnelHandover `json:"tunnels,omitempty"`
	Sites     []siteHandover   `json:"sites"`
	Leaving   []siteTasks      `json:"leaving,omitempty"` // of sites that were removed
}

// partialRequest is a connection on which the beginning of a request has arrived.
type partialRequest struct {
	FD   int    `json:"fd"`
	Read []byte `json:"read"`
}

// siteHandover is what an upgrade hands over of a site.
type siteHandover struct {
	Name        string                     `json:"name"`
	Generations int                        `json:"generations"`
	Sockets     string                     `json:"sockets"` // directory of the current generation
	Paths       code.Paths                 `json:"sources,omitempty"`
	Retired     []string                   `json:"retired,omitempty"` // directories of generations before
	Launched    map[string]json.RawMessage `json:"built"`             // settings that the workers were launched with
	Code        []code.Sum                 `json:"code"`
	Total       int64                      `json:"total"`
	Measured    front.Measured             `json:"measured"`
	Exits       map[string]int64           `json:"exits,omitempty"`
	Errors      int64                      `json:"errors"`
	LastExit    string                     `json:"last_exit,omitempty"`
	Failed      *status.Failure            `json:"failed,omitempty"`
	LastEvent   *status.Event              `json:"last_event,omitempty"`
	Static      []wsgi.Static              `json:"static,omitempty"`
	Python      *wsgi.Handover             `json:"python,omitempty"`
	Pool        pool.Handover              `json:"pool"`
	Workers     []workerHandover           `json:"workers"` // those of Pool, in the same order
	siteTasks
}

// siteTasks is what an upgrade hands over of the tasks of a site.
type siteTasks struct {
	Site     string                  `json:"site,omitempty"` // of a site that was removed
	Services map[string]taskHandover `json:"services,omitempty"`
	Jobs     map[string]taskHandover `json:"jobs,omitempty"`
}

// all returns all tasks by ID.
func (h siteTasks) all() map[task.ID]taskHandover {
	tasks := map[task.ID]taskHandover{}
	for name, left := range h.Services {
		tasks[task.ID{Kind: task.KindService, Name: name}] = left
	}
	for name, left := range h.Jobs {
		tasks[task.ID{Kind: task.KindJob, Name: name}] = left
	}
	return tasks
}

// threads returns how many threads the workers have; fallback if that is not known.
func (h siteHandover) threads(fallback int) int {
	n := fallback
	_ = json.Unmarshal(h.Launched["threads"], &n) // an error leaves n as it is
	return n
}

// workerHandover is a worker: one of both is set.
type workerHandover struct {
	WSGI *wsgi.WorkerHandover  `json:"wsgi,omitempty"`
	Go   *goapp.WorkerHandover `json:"go,omitempty"`
}

func (w workerHandover) process() process.Handover {
	if w.Go != nil {
		return w.Go.Process
	}
	return w.WSGI.Process
}

// taskHandover is a service or a cron entry.
type taskHandover struct {
	task.Handover
	Running *process.Handover `json:"running,omitempty"`     // nil: no process runs
	Old     *process.Handover `json:"old_running,omitempty"` // that finishes beside it; nil: there is none
}

// packer packs what is handed over. Nothing may be started or reaped meanwhile.
type packer struct{ b *process.Baggage }

// supervisor packs everything. caller is the connection to answer on; nil: none.
func (p packer) supervisor(s *Supervisor, caller syscall.Conn) (h handover, err error) {
	e := &s.endpoints
	h = handover{
		Version: s.version, Started: s.started, External: e.external, Page: -1, Metrics: -1, Caller: -1,
		StateDir: s.dirs.state, LogDir: s.dirs.logs, Failed: s.reloader.failed.Load(), Refused: s.refusals.Counts(),
	}
	one := func(fd *int, c syscall.Conn) {
		if err == nil {
			*fd, err = p.b.Pack(c)
		}
	}
	one(&h.Lock, s.lock.File())
	all := func(fds *[]int, listeners []net.Listener) {
		for _, l := range listeners {
			*fds = append(*fds, -1)
			one(&(*fds)[len(*fds)-1], l.(syscall.Conn))
		}
	}
	all(&h.Listen, e.front)
	all(&h.ListenTLS, e.secure)
	if e.page != nil {
		h.PageOf, h.PageToken = e.pageOf, e.pageToken
		one(&h.Page, e.page)
	}
	if at := e.metrics.gate(); at != nil {
		h.MetricsOf = s.config().Metrics
		one(&h.Metrics, at)
	}
	one(&h.Control, e.calls)
	if caller != nil {
		one(&h.Caller, caller)
	}
	if err == nil {
		err = p.clients(s, &h)
	}
	if err == nil {
		h.Tunnels, err = p.tunnels(s)
	}
	if err != nil {
		return h, err
	}
	for _, t := range s.sites.all() {
		site, err := p.site(t)
		if err != nil {
			return h, fmt.Errorf("site %s: %w", t.name, err)
		}
		h.Sites = append(h.Sites, site)
	}
	for _, t := range s.sites.leaving() {
		tasks, err := p.tasks(t.tasks.Set)
		if err != nil {
			return h, fmt.Errorf("site %s: %w", t.name, err)
		}
		tasks.Site = t.name
		h.Leaving = append(h.Leaving, tasks)
	}
	return h, nil
}

// clients packs the connections of clients, which have no request under way.
func (p packer) clients(s *Supervisor, h *handover) error {
	clients, err := s.door.Idle()
	for _, c := range clients {
		var fd int
		if err == nil {
			fd, err = p.b.Pack(c.File)
		}
		c.File.Close()
		switch {
		case c.TLS:
			h.Greeting = append(h.Greeting, fd)
		case len(c.Buffered) > 0:
			h.Partial = append(h.Partial, partialRequest{fd, c.Buffered})
		default:
			h.Clients = append(h.Clients, fd)
		}
	}
	return err
}

func (p packer) site(t *site) (h siteHandover, err error) {
	current, retired := t.launchedFrom()
	counts := t.stats.Counts()
	t.mu.Lock()
	h = siteHandover{
		Name: t.name, Generations: t.generations, Sockets: current.sockets, Paths: current.paths, Static: t.static,
		Total: counts.Total, Errors: counts.Errors, Measured: t.stats.Measured(), Exits: maps.Clone(t.exits), Failed: t.failed.Load(), LastEvent: t.lastEvent.Load(),
	}
	t.mu.Unlock()
	for _, g := range retired {
		h.Retired = append(h.Retired, g.sockets)
	}
	h.Launched, h.Code = current.launchValues(), current.code.Sums()
	h.LastExit = t.lastExit(t.pool.Status())
	if current.python != nil {
		python, err := current.python.HandOver(p.b)
		if err != nil {
			return h, err
		}
		h.Python = &python
	}
	h.Pool = t.pool.HandOver()
	for _, what := range h.Pool.Cut {
		t.log.Warn("request cut by an upgrade", "request", what)
	}
	if h.siteTasks, err = p.tasks(t.tasks.Set); err != nil {
		return h, err
	}
	for _, w := range h.Pool.Workers {
		worker, err := p.worker(w.Worker)
		if err != nil {
			return h, err
		}
		h.Workers = append(h.Workers, worker)
	}
	return h, nil
}

func (p packer) worker(w pool.Worker) (workerHandover, error) {
	if g, ok := w.(goWorker); ok {
		h, err := g.HandOver(p.b)
		return workerHandover{Go: &h}, err
	}
	h, err := w.(*wsgi.Worker).HandOver(p.b)
	return workerHandover{WSGI: &h}, err
}

// tasks packs services and cron entries.
func (p packer) tasks(tasks *task.Set) (siteTasks, error) {
	all := siteTasks{Services: map[string]taskHandover{}, Jobs: map[string]taskHandover{}}
	err := tasks.Pause(func(id task.ID, of task.Handover, resume func()) (err error) {
		p.b.OnFailure(resume)
		h := taskHandover{Handover: of}
		if h.Running, err = p.process(of.Process); err != nil {
			return err
		}
		if h.Old, err = p.process(of.Old); err != nil {
			return err
		}
		if id.Kind == task.KindService {
			all.Services[id.Name] = h
		} else {
			all.Jobs[id.Name] = h
		}
		return nil
	})
	return all, err
}

// process packs a process of a task; nil is none.
func (p packer) process(of task.Process) (*process.Handover, error) {
	if of == nil {
		return nil, nil
	}
	h, err := of.(*process.Process).HandOver(p.b)
	return &h, err
}

// launchValues returns the settings that the workers of the generation were launched
// with, as far as only new workers would get others.
func (g *generation) launchValues() map[string]json.RawMessage {
	if g.inherited != nil {
		return g.inherited
	}
	return g.cfg.LaunchValues()
}

// differingKey returns a key whose values differ, "" if there is none. A key that only
// one of two versions of multisite knows is no difference.
func differingKey(was, now map[string]json.RawMessage) string {
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if value, known := now[key]; known && string(value) != string(was[key]) {
			return key
		}
	}
	return ""
}
