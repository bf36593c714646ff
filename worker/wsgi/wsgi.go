// Package wsgi is the Python runtime: it starts WSGI workers and speaks FastCGI
// to them. The worker itself is pure Python (PEP 3333), embedded in the binary
// and written to disk once; it needs nothing installed beside the application.
//
// A worker is given everything it needs as descriptors: its listening socket,
// its configuration, and a pipe on which it says once that it is ready, or why
// it is not. Its environment is the site's and nothing of the supervisor's.
package wsgi

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/process"
)

var errClosed = errors.New("the site is being closed")

// Options describe one generation of a site.
type Options struct {
	Site       string
	Python     string   // interpreter to execute
	Settings   string   // DJANGO_SETTINGS_MODULE, or ""
	Entry      string   // script path or "module:callable"; "": from Settings
	PythonPath []string // goes first on sys.path
	Home       string   // working directory
	Mount      string   // "/" or "/sub"
	Env        []string // the whole environment
	Threads    int
	StackSize  int64 // of threads, in bytes; 0: the system's
	Processes  int

	Account *account.Account // who its processes run as; nil: as this one
	Umask   *int             // nil: this process's
	Tasks   func() int       // that their user may have, see process.Limits; nil: no bound
	Locale  string           // set for all of the process, as setlocale(3) does; "": as Python does

	Preload      Preload
	Warmup       []string // paths that a zygote requests before it is forked
	WarmupStrict bool     // a warm-up request that raises keeps the site from starting
	Host         string   // of warm-up requests
	Tricks       []string // what a zygote does so that its pages stay shared

	StartupTimeout func() time.Duration // that of now, asked for each start

	Prepare   func(*process.Process) error // called with each new worker before it serves; may be nil
	At        func(path string) string     // where a path of these options is, asked for each start; nil: there
	SocketDir string                       // where workers' sockets are made
	CodeDir   string                       // where the embedded Python code is written
	Output    func(worker, line string)    // what workers write to stdout and stderr
	Log       *slog.Logger
}

func (o Options) tasks() int {
	if o.Tasks == nil {
		return 0
	}
	return o.Tasks()
}

// Runtime starts the workers of one generation of a site.
type Runtime struct {
	opts    Options
	code    string // directory of the package multisite_wsgi
	learned string // directory of what is known about sites
	making  sync.WaitGroup

	closed chan struct{} // closed by Close

	mu sync.Mutex
	// mu protects all below
	joined  *Project // that the first mould will be made with
	project *Project // that the last mould was made with
	mould   *mould
	loading *loading       // the zygote that is being made; nil: none is
	cold    string         // why zygotes do without the warm-up; "": they do not
	note    string         // how workers share memory, for status
	misses  int            // forked workers in a row that did not become ready
	broken  int            // zygotes that were given up for that
	warmed  []WarmupResult // what became of the last warm-up

	mustAnswer []string // see MustAnswer; nil once there was a warm-up
}

// New returns a Runtime. It starts nothing.
func New(o Options) (*Runtime, error) {
	if o.At == nil {
		o.At = func(path string) string { return path }
	}
	code, err := installCode(o.CodeDir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.SocketDir, 0o700); err != nil {
		return nil, err
	}
	if err := o.Account.May(account.Run, code); err != nil {
		return nil, fmt.Errorf("%w, where the Python part of multisite is", err)
	}
	learned, err := makeLearned(o.CodeDir, o.Account)
	if err != nil {
		return nil, err
	}
	return &Runtime{opts: o, code: code, learned: learned, closed: make(chan struct{})}, nil
}

// Close ends the zygote and removes the directory of the sockets. No worker is
// launched after it; those that run are not touched.
func (r *Runtime) Close() {
	r.mu.Lock()
	if !r.isClosed() {
		close(r.closed)
	}
	m := r.mould
	projects := []*Project{r.joined, r.project}
	r.mu.Unlock()
	for _, p := range projects {
		if p != nil {
			p.forget(r)
		}
	}
	r.making.Wait()
	if m != nil && m.zygote != nil {
		m.zygote.end()
	}
	_ = os.RemoveAll(r.opts.SocketDir) // a worker that drains needs its connections, not the name
}

func (r *Runtime) isClosed() bool {
	select {
	case <-r.closed:
		return true
	default:
		return false
	}
}

// socketPath is the socket of the worker with an id like "subdomain1/1".
func (r *Runtime) socketPath(id string) string {
	return filepath.Join(r.opts.SocketDir, filepath.Base(id)+".sock")
}

// config is what a worker reads from its configuration pipe.
type config struct {
	Site       string   `json:"site"`
	Worker     string   `json:"worker"`
	Settings   string   `json:"settings"`
	WSGI       string   `json:"wsgi"`
	PythonPath []string `json:"python_path"`
	Home       string   `json:"home"`
	Mount      string   `json:"mount"`
	Threads    int      `json:"threads"`
	StackSize  int64    `json:"stack_size"`
	Locale     string   `json:"locale"`
}

func (r *Runtime) config(id string) config {
	o := r.opts
	var path []string
	for _, dir := range o.PythonPath {
		path = append(path, o.At(dir))
	}
	return config{
		StackSize: o.StackSize,
		Site:      o.Site, Worker: id, Settings: o.Settings, WSGI: o.At(o.Entry), PythonPath: path,
		Home: o.At(o.Home), Mount: o.Mount, Threads: o.Threads, Locale: o.Locale,
	}
}

// command is how a worker's interpreter is started. files become its descriptors
// 3, 4 and 5.
func (r *Runtime) command(output *process.Output, files ...*os.File) process.Command {
	return process.Command{
		Path:   r.opts.At(r.opts.Python),
		Args:   []string{r.opts.At(r.opts.Python), r.code},
		Env:    r.opts.Env,
		Dir:    r.opts.At(r.opts.Home),
		Files:  files,
		Output: output,

		Account: r.opts.Account,
		Umask:   r.opts.Umask,
		Tasks:   r.opts.tasks(),
	}
}
