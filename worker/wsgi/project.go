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
	learnTime  = 8 * time.Second // for learning about all sites of a project together
	maxRetries = 8               // how many modules may fail when they are imported for all sites
)

// errProjectGone means that a project zygote cannot be asked any more.
var errProjectGone = errors.New("the project zygote has exited")

// Project is a group of sites that load the same code with the same interpreter.
// Its zygote imports once what all of them import and what depends on no site's
// settings. It then forks a zygote for each site, or a worker for a site that gets
// no zygote. When every site has what it needs the project zygote exits.
type Project struct {
	members   []*Runtime // the sites; never changes
	log       *slog.Logger
	learnTime time.Duration // changed by tests only

	once    sync.Once     // starts the zygote, or makes sure that it never starts
	started chan struct{} // closed when the next three fields are set; they do not change afterwards

	leftOut map[string]bool // sites that cannot be forked from the zygote
	zygote  *zygote         // nil: see err
	err     error           // why there is no zygote

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
		members: runtimes, log: log, learnTime: learnTime,
		started: make(chan struct{}), leftOut: map[string]bool{}, expected: map[*Runtime]int{},
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
	p.once.Do(func() {
		go func() { // kill waits for it
			defer close(p.started)
			p.zygote, p.err = p.start()
		}()
	})
	select {
	case <-p.started:
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

// prepareAnswer is the answer to the command "prepare".
type prepareAnswer struct {
	Ready        bool     `json:"ready"`         // the shared modules are imported
	Modules      int      `json:"modules"`       // how many they are
	LeftOut      []string `json:"left_out"`      // "site: why" of each site that cannot share
	Unkept       []string `json:"unkept"`        // "site: why" of each learning result that could not be saved
	Seconds      float64  `json:"seconds"`       // how long it took
	FailedImport string   `json:"failed_import"` // module whose import failed; "": none
	Error        string   `json:"error"`         // why the import or all of it failed
}

// prepare makes the zygote import what the sites share. failed is the module that
// could not be imported; "": all were.
func (p *Project) prepare(z *zygote, without []string) (failed string, err error) {
	var configs []zygoteConfig
	for _, r := range p.members {
		configs = append(configs, r.zygoteConfig("zygote", len(p.members) > 1))
	}
	command := struct {
		Cmd      string         `json:"cmd"`
		Sites    []zygoteConfig `json:"sites"`
		Without  []string       `json:"without"`
		Deadline float64        `json:"deadline_seconds"`
	}{"prepare", configs, without, p.learnTime.Seconds()}
	var answer prepareAnswer
	if err := z.ask(2*p.learnTime, command, &answer); err != nil {
		return "", err
	}
	switch {
	case answer.FailedImport != "":
		p.log.Debug("module cannot be shared", "module", answer.FailedImport, "error", answer.Error)
		return answer.FailedImport, nil
	case !answer.Ready:
		return "", errors.New(answer.Error)
	}
	for _, text := range answer.LeftOut {
		site, reason, _ := strings.Cut(text, ": ")
		p.leftOut[site] = true
		p.log.Warn("site does not share code with the other sites", "site", site, "reason", reason)
	}
	for _, text := range answer.Unkept {
		site, reason, _ := strings.Cut(text, ": ")
		p.log.Warn("what was learned about a site could not be saved and has to be learned again", "site", site, "reason", reason)
	}
	p.log.Info("project zygote ready", "pid", z.PID(), "modules", answer.Modules, "sites", len(p.members), "seconds", answer.Seconds)
	return "", nil
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
	n := p.expected[r]
	p.mu.Unlock()
	p.forksDone(r, n)
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
