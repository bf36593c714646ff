package wsgi

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/process"
)

const (
	processorTime = 20 * time.Second // that a learner may use
	maxRetries    = 8                // how many modules may fail when they are imported for all sites
)

// errProjectGone means that a project zygote cannot be asked any more.
var errProjectGone = errors.New("the project zygote has exited")

// Project is a group of sites that load the same code with the same interpreter.
// Its zygote imports once what all of them import and what depends on no site's
// settings. It then forks a zygote for each site, or a worker for a site that gets
// no zygote. When every site has what it needs the project zygote exits.
type Project struct {
	members []*Runtime // the sites; never changes
	log     *slog.Logger

	// learnTime limits learning about all sites together, by the clock; 0: the least
	// startup_timeout of the sites. Processor time limits it sooner. Both are changed
	// by tests only.
	learnTime, processorTime time.Duration

	once    sync.Once     // starts the zygote, or makes sure that it never starts
	started chan struct{} // closed when the next four fields are set; they do not change afterwards

	leftOut map[string]string // sites that do not share modules, and why
	zygote  *zygote           // nil: see err
	err     error             // why there is no zygote
	rest    *Project          // of the sites that have little in common with the others; nil: none; see forget

	mu       sync.Mutex       // protects all below
	expected map[*Runtime]int // how many more forks each site will ask for; a site that needs none is not in it
	process  *process.Process // of the zygote, set before it is prepared; nil: not started yet
	unneeded bool             // no site needs the zygote any more; one that starts now is killed
}

// NewProject joins runtimes whose ProjectKey is the same. Nothing starts before
// the first worker is launched.
func NewProject(runtimes []*Runtime, log *slog.Logger) *Project {
	p := newProject(runtimes, log)
	for _, r := range runtimes {
		r.mu.Lock()
		r.joined = p
		r.mu.Unlock()
	}
	return p
}

func newProject(runtimes []*Runtime, log *slog.Logger) *Project {
	p := &Project{
		members: runtimes, log: log, processorTime: processorTime,
		started: make(chan struct{}), leftOut: map[string]string{}, expected: map[*Runtime]int{},
	}
	for _, r := range runtimes {
		p.expected[r] = 1 // its site zygote, or its only worker
	}
	return p
}

// ProjectKey returns a string that is equal for sites that can share a project
// zygote: they have the same interpreter, user and limit of tasks, and the same
// environment as far as the interpreter itself reads it.
func (o Options) ProjectKey() string {
	key := []string{o.Python + "\x00" + o.Account.Key() + "\x00" + strconv.Itoa(o.tasks())}
	for _, v := range o.Env {
		if name, _, _ := strings.Cut(v, "="); interpreterReads(name) {
			key = append(key, v)
		}
	}
	slices.Sort(key[1:])
	return strings.Join(key, "\x00")
}

// interpreterReads reports whether Python or the C library reads a variable at the
// start of the interpreter.
func interpreterReads(name string) bool {
	switch name {
	case "LANG", "TZ", "PATH", "HOME":
		return true
	}
	return strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "LC_")
}

// get returns the project zygote, which the first call starts. It returns errClosed
// when closed is closed before the zygote is ready.
func (p *Project) get(closed <-chan struct{}) (*zygote, error) {
	select {
	case <-p.begin():
	case <-closed:
		return nil, errClosed
	}
	if p.err != nil {
		return nil, p.err
	}
	if !p.zygote.alive() {
		return nil, errProjectGone
	}
	return p.zygote, nil
}

// begin starts the zygote, if that was not done, and returns the channel that is closed
// when it is ready or has failed.
func (p *Project) begin() <-chan struct{} {
	p.once.Do(func() {
		go func() { // kill waits for it
			defer close(p.started)
			p.zygote, p.err = p.start()
		}()
	})
	return p.started
}

// start starts the project zygote and makes it import what the sites share. If a
// module cannot be imported without a site's settings, it may be half loaded in
// this process, so the process is killed and another one goes without that module.
func (p *Project) start() (*zygote, error) {
	without := []string{} // not nil: JSON needs a list
	for range maxRetries {
		z, err := p.spawn()
		if err != nil {
			return nil, err
		}
		failed, err := p.prepare(z, without)
		if err == nil && failed == "" {
			return z, nil
		}
		z.kill()
		if errors.Is(err, os.ErrDeadlineExceeded) && p.isNeeded() {
			return p.goOnWithout()
		}
		if err != nil {
			return nil, err
		}
		without = append(without, failed)
	}
	return nil, fmt.Errorf("%d modules could not be loaded for all sites: %s", maxRetries, strings.Join(without, ", "))
}

// spawn starts the interpreter that becomes the project zygote.
func (p *Project) spawn() (*zygote, error) {
	r := p.members[0]
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	output, err := process.NewOutput(r.opts.Account, func(line string) { r.opts.Output(r.opts.Site+"/zygote", line) })
	if err != nil {
		ours.Close()
		return nil, err
	}
	proc, err := process.Start(process.Command{
		Path:   r.opts.At(r.opts.Python),
		Args:   []string{r.opts.At(r.opts.Python), r.code, "zygote"},
		Env:    p.environment(),
		Dir:    "/",
		Files:  []*os.File{theirs},
		Output: output,

		Account: r.opts.Account,
		Tasks:   r.opts.tasks(),
	})
	if err != nil {
		ours.Close()
		return nil, err
	}
	p.mu.Lock()
	p.process = proc
	if p.unneeded {
		proc.Kill()
	}
	p.mu.Unlock()
	return &zygote{Process: proc, control: ours}, nil
}

// environment returns the variables that are the same for all sites.
func (p *Project) environment() []string {
	env := slices.Clone(p.members[0].opts.Env)
	for _, r := range p.members[1:] {
		env = slices.DeleteFunc(env, func(v string) bool { return !slices.Contains(r.opts.Env, v) })
	}
	return env
}

// expectForks notes that a site will ask for n more forks.
func (p *Project) expectForks(r *Runtime, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected[r] += n
}

// forksDone notes that a site needs n forks less. When no site needs any more, the
// project zygote is killed.
func (p *Project) forksDone(r *Runtime, n int) {
	p.mu.Lock()
	if p.expected[r] -= n; p.expected[r] <= 0 {
		delete(p.expected, r)
	}
	sites := len(p.expected)
	p.mu.Unlock()
	if sites == 0 {
		p.kill()
	}
}

// forget notes that a site will ask for no more forks.
func (p *Project) forget(r *Runtime) {
	p.mu.Lock()
	n, rest := p.expected[r], p.rest
	p.mu.Unlock()
	p.forksDone(r, n)
	if rest != nil {
		rest.forget(r)
	}
}

// isNeeded reports whether any site needs the zygote.
func (p *Project) isNeeded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.unneeded
}

// drop kills the project zygote, and that of the rest.
func (p *Project) drop() {
	p.kill()
	if p.rest != nil {
		p.rest.drop()
	}
}

// kill kills the project zygote, even one that is still loading, and waits for that.
func (p *Project) kill() {
	p.mu.Lock()
	p.unneeded = true
	if p.process != nil {
		p.process.Kill()
	}
	p.mu.Unlock()
	p.once.Do(func() { // no site has asked for the zygote
		p.err = errProjectGone
		close(p.started)
	})
	<-p.started
	if p.zygote != nil {
		p.zygote.kill()
	}
}
