package supervisor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/goapp"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// handoverVersion grows when what is below changes its meaning, or when a zygote of
// before would not understand its new supervisor.
const handoverVersion = 1

// state is what one image of the supervisor leaves to the next. Descriptors are
// numbers in its baggage; -1: none.
type state struct {
	Version   string          `json:"version"` // of the program that leaves it
	Started   time.Time       `json:"started"`
	Paused    time.Time       `json:"paused"` // since when requests wait
	Lock      int             `json:"lock"`
	Listen    []int           `json:"listen"`
	Handed    bool            `json:"handed"` // listeners are not those of sites.toml
	Page      int             `json:"page"`
	PageOf    string          `json:"page_of"` // what sites.toml said of it
	PageToken string          `json:"page_token,omitempty"`
	Control   int             `json:"control"`
	Caller    int             `json:"caller"` // who waits for the answer
	Clients   []int           `json:"clients"`
	StateDir  string          `json:"state_dir,omitempty"`
	LogDir    string          `json:"log_dir,omitempty"`
	Failed    *status.Failure `json:"failed,omitempty"`
	Refused   map[int]int64   `json:"refused,omitempty"`
	Begun     []begun         `json:"begun,omitempty"` // clients, too
	Sites     []siteState     `json:"sites"`
}

// begun is a client that has sent a part of a request.
type begun struct {
	FD   int    `json:"fd"`
	Read []byte `json:"read"`
}

// siteState is what is left of a site.
type siteState struct {
	Name        string                     `json:"name"`
	Generations int                        `json:"generations"`
	Sockets     string                     `json:"sockets"`
	Sources     code.Paths                 `json:"sources,omitempty"`
	Retired     []string                   `json:"retired,omitempty"` // directories of sockets
	Built       map[string]json.RawMessage `json:"built"`             // settings that the workers run with
	Code        []code.Sum                 `json:"code"`
	Total       int64                      `json:"total"`
	Errors      int64                      `json:"errors"`
	LastExit    string                     `json:"last_exit,omitempty"`
	Failed      *status.Failure            `json:"failed,omitempty"`
	Static      []wsgi.Static              `json:"static,omitempty"`
	Python      *wsgi.Handover             `json:"python,omitempty"`
	Pool        pool.Handover              `json:"pool"`
	Workers     []workerState              `json:"workers"` // of Pool, in the same order
	Services    map[string]taskState       `json:"services,omitempty"`
	Jobs        map[string]taskState       `json:"jobs,omitempty"`
}

// threads are those of the workers that are left; other, where that is not known.
func (st siteState) threads(other int) int {
	n := other
	_ = json.Unmarshal(st.Built["threads"], &n) // it leaves n as it is
	return n
}

// workerState is one of the two.
type workerState struct {
	WSGI *wsgi.WorkerHandover  `json:"wsgi,omitempty"`
	Go   *goapp.WorkerHandover `json:"go,omitempty"`
}

func (w workerState) process() process.Handover {
	if w.Go != nil {
		return w.Go.Process
	}
	return w.WSGI.Process
}

// taskState is a service or a cron entry.
type taskState struct {
	task.Handover
	Running *process.Handover `json:"running,omitempty"`
}

// pack packs all of the supervisor. Nothing may be started or reaped meanwhile.
func (s *Supervisor) pack(b *process.Baggage, caller syscall.Conn) (st state, err error) {
	st = state{
		Version: s.version, Started: s.started, Handed: s.endpoints.external, Page: -1, Caller: -1,
		StateDir: s.dirs.state, LogDir: s.dirs.logs, Failed: s.failed.Load(), Refused: s.refusals.Counts(),
	}
	one := func(fd *int, c syscall.Conn) {
		if err == nil {
			*fd, err = b.Pack(c)
		}
	}
	one(&st.Lock, s.lock.File())
	for _, l := range s.endpoints.front {
		st.Listen = append(st.Listen, -1)
		one(&st.Listen[len(st.Listen)-1], l.(syscall.Conn))
	}
	if s.endpoints.page != nil {
		st.PageOf, st.PageToken = s.endpoints.pageOf, s.endpoints.pageToken
		one(&st.Page, s.endpoints.page)
	}
	one(&st.Control, s.endpoints.calls)
	if caller != nil {
		one(&st.Caller, caller)
	}
	if err == nil {
		err = s.packClients(b, &st)
	}
	if err != nil {
		return st, err
	}
	for _, t := range s.sites.all() {
		site, err := t.pack(b)
		if err != nil {
			return st, fmt.Errorf("site %s: %w", t.name, err)
		}
		st.Sites = append(st.Sites, site)
	}
	return st, nil
}

func (s *Supervisor) packClients(b *process.Baggage, st *state) error {
	clients, err := s.door.Idle()
	for _, c := range clients {
		var fd int
		if err == nil {
			fd, err = b.Pack(c.File)
		}
		c.File.Close()
		if len(c.Buffered) > 0 {
			st.Begun = append(st.Begun, begun{fd, c.Buffered})
		} else {
			st.Clients = append(st.Clients, fd)
		}
	}
	return err
}

func (t *site) pack(b *process.Baggage) (st siteState, err error) {
	t.mu.Lock()
	current, counts := t.current, t.stats.Counts()
	st = siteState{Name: t.name, Generations: t.generations, Sockets: current.sockets, Sources: current.paths, Static: t.static, Total: counts.Total, Errors: counts.Errors, Failed: t.failed.Load()}
	for _, g := range t.retired {
		st.Retired = append(st.Retired, g.sockets)
	}
	t.mu.Unlock()
	st.Built, st.Code = current.built(), current.code.Sums()
	st.LastExit = t.lastExit(t.pool.Status())
	if current.python != nil {
		left, err := current.python.HandOver(b)
		if err != nil {
			return st, err
		}
		st.Python = &left
	}
	st.Pool = t.pool.HandOver()
	for _, what := range st.Pool.Cut {
		t.log.Warn("request cut by an upgrade", "request", what)
	}
	if st.Services, st.Jobs, err = packTasks(b, t.tasks); err != nil {
		return st, err
	}
	for _, w := range st.Pool.Workers {
		left, err := packWorker(b, w.Worker)
		if err != nil {
			return st, err
		}
		st.Workers = append(st.Workers, left)
	}
	return st, nil
}

func packWorker(b *process.Baggage, w pool.Worker) (workerState, error) {
	if g, ok := w.(goWorker); ok {
		left, err := g.HandOver(b)
		return workerState{Go: &left}, err
	}
	left, err := w.(*wsgi.Worker).HandOver(b)
	return workerState{WSGI: &left}, err
}

// packTasks packs services and cron entries, by name.
func packTasks(b *process.Baggage, tasks *task.Set) (services, jobs map[string]taskState, err error) {
	services, jobs = map[string]taskState{}, map[string]taskState{}
	err = tasks.Pause(func(id task.ID, h task.Handover, resume func()) (err error) {
		b.OnFailure(resume)
		st := taskState{Handover: h}
		if h.Process != nil {
			left, err := h.Process.(*process.Process).HandOver(b)
			if err != nil {
				return err
			}
			st.Running = &left
		}
		if id.Kind == task.KindService {
			services[id.Name] = st
		} else {
			jobs[id.Name] = st
		}
		return nil
	})
	return services, jobs, err
}

// built are the settings that only new workers would heed, as the generation has them.
func (g *generation) built() map[string]json.RawMessage {
	if g.inherited != nil {
		return g.inherited
	}
	return g.cfg.LaunchValues()
}

// otherThan names a key in which both differ, "" if there is none. What only one
// of two versions of multisite knows is no difference.
func otherThan(was, now map[string]json.RawMessage) string {
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if value, known := now[key]; known && string(value) != string(was[key]) {
			return key
		}
	}
	return ""
}
