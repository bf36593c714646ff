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

// Options describe one generation of a site. A Runtime never changes them.
type Options struct {
	Site       string
	Python     string   // interpreter to execute
	Settings   string   // DJANGO_SETTINGS_MODULE, or ""
	Entry      string   // script path or "module:callable"; "": from Settings
	PythonPath []string // goes first on sys.path
	Home       string   // working directory
	Mount      string   // "/" or "/sub"
	Env        []string // the whole environment
	Threads    int      // of each worker
	StackSize  int64    // of a thread, in bytes; 0: the system's default
	Processes  int      // how many workers the site will have at first

	Account *account.Account // user of the site's processes; nil: the user of this process
	Umask   *int             // nil: the umask of this process
	Tasks   func() int       // limit of processes and threads of that user, see process.Limits; nil: none
	Locale  string           // set for the whole process, as setlocale(3) does; "": as Python does

	Preload      Preload
	Warmup       []string // paths that a site zygote requests before its first fork
	Learned      bool     // visitors have decided which paths those are: one that does not work is left out
	WarmupStrict bool     // a warm-up request that raises keeps the site from starting
	Host         string   // Host header of warm-up requests
	Tricks       []string // what zygotes do to keep memory shared, see memory.py

	// StartupTimeout returns how long a site zygote may take to load the site, and the
	// error of one that takes longer. It is called for each start, since it may change. A
	// zygote has a limit of its own, since it outlives the launch that has started it; a
	// worker has that of the context of Launch.
	StartupTimeout func() (limit time.Duration, late error)

	Prepare   func(*process.Process) error // called with each new worker before it serves; may be nil
	At        func(path string) string     // where a path of these options is now, called for each start; nil: unchanged
	SocketDir string                       // directory of the workers' sockets; the Runtime makes and removes it
	CodeDir   string                       // where the embedded Python code is written; shared by all sites
	Output    func(worker, line string)    // called with each line that a worker or zygote writes to stdout or stderr
	Log       *slog.Logger
}

// startupLimit returns how long a start may take.
func (o Options) startupLimit() time.Duration {
	limit, _ := o.StartupTimeout()
	return limit
}

// tasks returns the limit of now; 0: none.
func (o Options) tasks() int {
	if o.Tasks == nil {
		return 0
	}
	return o.Tasks()
}

// Runtime starts the workers of one generation of a site.
type Runtime struct {
	opts       Options
	code       string         // directory of the package multisite_wsgi; never changes
	learned    string         // directory of learning results; never changes
	background sync.WaitGroup // goroutines that make or end zygotes; Close waits for them

	closed chan struct{} // closed by Close, with mu held

	mu sync.Mutex // protects all below

	// joined is the project of all sites, set by NewProject. It is used for the
	// first template only and is nil afterwards.
	joined *Project
	// project is the one that the last template was made with.
	project *Project
	// template is what the next worker is made from; nil until the first launch,
	// and after the zygote was unloaded.
	template *template
	// loading is the site zygote that has not reported yet; nil: none.
	loading *loading
	// skipped says what of the warm-up zygotes leave out. It only grows.
	skipped skippedWarmup
	// note is what PreloadNote returns.
	note string
	// failures counts the forked workers in a row that did not become ready.
	failures int
	// failedZygotes counts the zygotes that were given up because of that.
	failedZygotes int
	// warmed are the results of the last warm-up; nil: there was none.
	warmed []WarmupResult
	// mustAnswer are the paths set by MustAnswer; nil after the first warm-up.
	mustAnswer []string
}

// New returns a Runtime. It starts no process.
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

// Close ends the zygote and removes the directory of the sockets. No worker can be
// launched afterwards; running workers are not touched.
func (r *Runtime) Close() {
	r.mu.Lock()
	if !r.isClosed() {
		close(r.closed)
	}
	m := r.template
	projects := []*Project{r.joined, r.project}
	r.mu.Unlock()
	for _, p := range projects {
		if p != nil {
			p.forget(r)
		}
	}
	r.background.Wait()
	if m != nil && m.zygote != nil {
		m.zygote.exit()
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

// socketPath returns the socket of the worker with an id like "subdomain1/1".
func (r *Runtime) socketPath(id string) string {
	return filepath.Join(r.opts.SocketDir, filepath.Base(id)+".sock")
}

// config is what a worker reads from its configuration socket.
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
	Tricks     []string `json:"tricks"`
}

// PythonPath returns where the directories of Options.PythonPath are now.
func (r *Runtime) PythonPath() (dirs []string) {
	for _, dir := range r.opts.PythonPath {
		dirs = append(dirs, r.opts.At(dir))
	}
	return dirs
}

func (r *Runtime) config(id string) config {
	o := r.opts
	return config{
		StackSize: o.StackSize,
		Site:      o.Site, Worker: id, Settings: o.Settings, WSGI: o.At(o.Entry), PythonPath: r.PythonPath(),
		Home: o.At(o.Home), Mount: o.Mount, Threads: o.Threads, Locale: o.Locale, Tricks: o.Tricks,
	}
}

// command returns how a worker's interpreter is started. files become its
// descriptors 3, 4 and 5.
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
