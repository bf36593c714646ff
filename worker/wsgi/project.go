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
	learnTime  = 8 * time.Second // for all sites of a project together
	maxRetries = 8               // modules that fail when they are imported for all sites
)

// errProjectGone says that a project zygote has left: its work is done.
var errProjectGone = errors.New("the project zygote has left")

// Project is the sites that load the same code with the same interpreter. Its
// zygote loads once what all of them import and what reads nobody's settings,
// then forks each site's own zygote, or a worker where a zygote does not pay.
// When every site has what it needs the project zygote leaves: its own pages
// would be of no use to anyone.
type Project struct {
	members   []*Runtime
	log       *slog.Logger
	learnTime time.Duration

	leftOut map[string]bool // sites that can not be forked from the zygote; set when started is closed

	once    sync.Once
	started chan struct{} // closed when zygote or err is set
	zygote  *zygote
	err     error

	mu sync.Mutex
	// mu protects all below
	pending map[*Runtime]int // how many more forks a site will ask for
	process *process.Process // of the zygote, from its start on
	left    bool             // nobody needs it any more
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
		started: make(chan struct{}), leftOut: map[string]bool{}, pending: map[*Runtime]int{},
	}
	for _, r := range runtimes {
		p.pending[r] = 1 // a zygote of its own, or its one worker
	}
	return p
}

// ProjectKey is equal for sites that can share a project zygote: the same
// interpreter, user and limit, and the same environment as far as Python itself reads it.
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

func interpreterReads(name string) bool {
	switch name {
	case "LANG", "TZ", "PATH", "HOME":
		return true
	}
	return strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "LC_")
}

// get returns the project zygote, which the first call starts. It waits for it no
// longer than until gone is closed.
func (p *Project) get(gone <-chan struct{}) (*zygote, error) {
	p.once.Do(func() {
		go func() { // leave waits for it
			defer close(p.started)
			p.zygote, p.err = p.start()
		}()
	})
	select {
	case <-p.started:
	case <-gone:
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

// start starts the project zygote and lets it load what the sites share. A module
// that can not be imported before a site's settings are there leaves a process
// that may be half loaded: it is thrown away and a new one goes without.
func (p *Project) start() (*zygote, error) {
	without := []string{} // JSON: a list, not null
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

// spawn starts a bare interpreter that will be the project zygote.
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
	if p.left {
		proc.Kill()
	}
	p.mu.Unlock()
	return &zygote{Process: proc, control: ours}, nil
}

// environment is what all sites agree on.
func (p *Project) environment() []string {
	env := slices.Clone(p.members[0].opts.Env)
	for _, r := range p.members[1:] {
		env = slices.DeleteFunc(env, func(v string) bool { return !slices.Contains(r.opts.Env, v) })
	}
	return env
}

type prepared struct {
	Ready        bool     `json:"ready"`
	Modules      int      `json:"modules"`
	LeftOut      []string `json:"left_out"`
	Unkept       []string `json:"unkept"`
	Seconds      float64  `json:"seconds"`
	FailedImport string   `json:"failed_import"`
	Error        string   `json:"error"`
}

// prepare lets the zygote load what the sites share. failed is the module that
// could not be imported.
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
	var answer prepared
	if err := z.ask(2*p.learnTime, command, &answer); err != nil {
		return "", err
	}
	switch {
	case answer.FailedImport != "":
		p.log.Debug("module not shared", "module", answer.FailedImport, "error", answer.Error)
		return answer.FailedImport, nil
	case !answer.Ready:
		return "", errors.New(answer.Error)
	}
	for _, text := range answer.LeftOut {
		site, reason, _ := strings.Cut(text, ": ")
		p.leftOut[site] = true
		p.log.Warn("site takes no part in the shared code", "site", site, "reason", reason)
	}
	for _, text := range answer.Unkept {
		site, reason, _ := strings.Cut(text, ": ")
		p.log.Warn("what was learned of a site is not kept", "site", site, "reason", reason)
	}
	p.log.Info("project zygote ready", "pid", z.PID(), "modules", answer.Modules, "sites", len(p.members), "seconds", answer.Seconds)
	return "", nil
}

// need takes note that a site will ask for n more forks.
func (p *Project) need(r *Runtime, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending[r] += n
}

// release takes note that a site needs n forks less. After the last one the
// project zygote leaves.
func (p *Project) release(r *Runtime, n int) {
	p.mu.Lock()
	if p.pending[r] -= n; p.pending[r] <= 0 {
		delete(p.pending, r)
	}
	left := len(p.pending)
	p.mu.Unlock()
	if left == 0 {
		p.leave()
	}
}

// forget takes note that a site will ask for nothing more.
func (p *Project) forget(r *Runtime) {
	p.mu.Lock()
	n := p.pending[r]
	p.mu.Unlock()
	p.release(r, n)
}

// leave ends the project zygote, also one that is still loading.
func (p *Project) leave() {
	p.mu.Lock()
	p.left = true
	if p.process != nil {
		p.process.Kill()
	}
	p.mu.Unlock()
	p.once.Do(func() { // no site ever asked
		p.err = errProjectGone
		close(p.started)
	})
	<-p.started
	if p.zygote != nil {
		p.zygote.kill()
	}
}
