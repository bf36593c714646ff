package wsgi

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/process"
)

// Preload says whether a site's code is loaded once and forked.
type Preload string

// The values of the key preload.
const (
	PreloadAuto Preload = "auto"  // where it is proved safe, else each worker loads it
	PreloadOn   Preload = "true"  // a site that is not safe to fork does not start
	PreloadOff  Preload = "false" // each worker is an interpreter of its own
)

// Preloads tells whether the site takes part in sharing at all.
func (r *Runtime) Preloads() bool { return r.opts.Preload != PreloadOff }

// ProjectKey is that of the runtime's options.
func (r *Runtime) ProjectKey() string { return r.opts.ProjectKey() }

// missesAllowed is how many workers in a row may not become ready before their
// zygote is taken for broken.
const missesAllowed = 3

// zygoteConfig is what a zygote is told of a site.
type zygoteConfig struct {
	config
	Env           map[string]string `json:"env"`
	Umask         string            `json:"umask"` // octal; "": as it is
	Warmup        []string          `json:"warmup"`
	WarmupStrict  bool              `json:"warmup_strict"`
	Host          string            `json:"hosts"`
	Tricks        []string          `json:"tricks"`
	Learned       string            `json:"learned"`
	Learn         bool              `json:"learn"`
	SupervisorPID int               `json:"supervisor_pid"`
}

func (r *Runtime) zygoteConfig(id string, learn bool) zygoteConfig {
	warmup := r.opts.Warmup
	if r.unwarmed() != "" {
		warmup = nil
	}
	env := make(map[string]string, len(r.opts.Env))
	for _, v := range r.opts.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return zygoteConfig{
		config:        r.config(id),
		Env:           env,
		Umask:         octal(r.opts.Umask),
		Warmup:        warmup,
		WarmupStrict:  r.opts.WarmupStrict,
		Host:          r.opts.Host,
		Tricks:        r.opts.Tricks,
		Learned:       filepath.Join(r.learned, r.opts.Site+".json"),
		Learn:         learn,
		SupervisorPID: os.Getpid(),
	}
}

// makeZygote makes the site's zygote: once more, without the warm-up, where that was what
// made it unsafe to fork.
func (r *Runtime) makeZygote(m *mould, parent *zygote) error {
	err := r.tryZygote(m, parent)
	var unsafe *unsafeError
	if !errors.As(err, &unsafe) || !m.info.SafeWhenLoaded {
		return err
	}
	r.mu.Lock()
	r.cold = unsafe.text()
	r.mu.Unlock()
	r.opts.Log.Warn("the zygote is made again, without the warm-up, which makes it unsafe to fork", "reason", unsafe.text())
	return r.tryZygote(m, parent)
}

// unwarmed is why the site's zygotes do without the warm-up; "": they do not.
func (r *Runtime) unwarmed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cold
}

// tryZygote forks the site's zygote and waits until it has loaded the site.
func (r *Runtime) tryZygote(m *mould, parent *zygote) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	b, err := newBirth(r.opts.Account, func(line string) { r.opts.Output(r.opts.Site+"/zygote", line) })
	if err != nil {
		ours.Close()
		return err
	}
	command := siteCommand{"site", r.zygoteConfig(r.opts.Site+"/zygote", false)}
	p, err := b.fork(parent, r.opts.StartupTimeout(), command, theirs)
	if err != nil {
		ours.Close()
		return err
	}
	defer b.status.Close()
	z := &zygote{Process: p, control: ours}
	l := &loading{Process: p}
	r.setLoading(l)
	defer r.setLoading(nil)
	m.info, err = r.awaitZygote(l, b.status)
	var unsafe *unsafeError
	if r.unwarmed() == "" && (err == nil || errors.As(err, &unsafe)) {
		err = cmp.Or(r.heed(m.info.Warmup), err)
	}
	switch {
	case errors.As(err, &unsafe):
		r.making.Go(z.leave) // as any process does, with its exit handlers
		return err
	case err != nil:
		z.kill()
		return err
	}
	m.zygote = z
	r.opts.Log.Info("site zygote ready", "pid", p.PID(), "tricks", strings.Join(m.info.Tricks, " "))
	return nil
}

// awaitZygote waits until a zygote has loaded the site, for startup_timeout and
// as long as the runtime is open.
func (r *Runtime) awaitZygote(l *loading, status *os.File) (event, error) {
	type word struct {
		event
		err error
	}
	said := make(chan word, 1)
	r.making.Go(func() {
		e, err := waitReady(l.Process, status)
		said <- word{e, err}
	})
	limit := r.opts.StartupTimeout()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	problem := errClosed.Error()
	select {
	case w := <-said:
		return w.event, w.err
	case <-timer.C:
		problem = fmt.Sprintf("not ready within %v (startup_timeout)%s", limit, l.where())
	case <-r.closed:
	}
	l.Kill()
	<-l.Done()
	return event{}, process.NewLaunchError(problem, l.Process)
}

type siteCommand struct {
	Cmd    string       `json:"cmd"`
	Config zygoteConfig `json:"config"`
}

type forkCommand struct {
	Cmd    string `json:"cmd"`
	Worker string `json:"worker"`
}

// Unload lets the site's zygote go, to be made anew when a worker is needed.
func (r *Runtime) Unload() {
	m := r.made()
	if m == nil || m.zygote == nil {
		return
	}
	r.mu.Lock()
	if r.mould == m {
		r.mould = nil
	}
	r.mu.Unlock()
	m.zygote.end()
}

// Limit bounds the site's zygote as the workers that it forks. One that can not be
// bounded ends, and the next worker comes from another one. Workers live on.
func (r *Runtime) Limit(l process.Limits) {
	m := r.made()
	if m == nil || m.zygote == nil {
		return
	}
	err := m.zygote.Limit(l)
	if err == nil {
		return
	}
	r.opts.Log.Info("zygote replaced", "pid", m.zygote.PID(), "reason", err)
	r.mu.Lock()
	if r.mould == m {
		r.mould = nil
	}
	r.mu.Unlock()
	m.zygote.kill()
}

// ZygotePID is the process id of the site's zygote; 0: there is none.
func (r *Runtime) ZygotePID() int {
	m := r.made()
	if m == nil || m.zygote == nil || !m.zygote.alive() {
		return 0
	}
	return m.zygote.PID()
}

// PreloadNote is "on", or "off" with the reason.
func (r *Runtime) PreloadNote() string {
	if r.opts.Preload == PreloadOff {
		return "off"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.note
}

func (r *Runtime) setNote(note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note = note
}

func (r *Runtime) setLoading(l *loading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loading = l
}

// made returns the mould when it is there.
func (r *Runtime) made() *mould {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mould == nil {
		return nil
	}
	select {
	case <-r.mould.ready:
		return r.mould
	default:
		return nil
	}
}
