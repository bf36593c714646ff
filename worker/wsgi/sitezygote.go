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

// zygoteConfig is what a zygote gets to know about a site. It is sent as CONFIG on the
// control socket.
type zygoteConfig struct {
	config
	Env           map[string]string `json:"env"`
	Umask         string            `json:"umask"` // octal; "": unchanged
	Warmup        []string          `json:"warmup"`
	WarmupLearned bool              `json:"warmup_learned"`
	WarmupStrict  bool              `json:"warmup_strict"`
	Host          string            `json:"hosts"`
	Learned       string            `json:"learned"` // file of the learning result
	Learn         bool              `json:"learn"`   // whether learning is of use: other sites can share
	SupervisorPID int               `json:"supervisor_pid"`
}

func (r *Runtime) zygoteConfig(id string, learn bool) zygoteConfig {
	env := make(map[string]string, len(r.opts.Env))
	for _, v := range r.opts.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return zygoteConfig{
		config:        r.config(id),
		Env:           env,
		Umask:         octal(r.opts.Umask),
		Warmup:        r.warmupPaths(),
		WarmupLearned: r.opts.Learned,
		WarmupStrict:  r.opts.WarmupStrict,
		Host:          r.opts.Host,
		Learned:       filepath.Join(r.learned, r.opts.Site+".json"),
		Learn:         learn,
		SupervisorPID: os.Getpid(),
	}
}

// octal writes a umask as sites.toml does.
func octal(umask *int) string {
	if umask == nil {
		return ""
	}
	return fmt.Sprintf("%03o", *umask)
}

// makeZygote makes the site zygote of m. If only the warm-up made it not fork-safe,
// it is made again: without the paths that did it, then without any. If it died, or did
// not come to its end, it is made again without what visitors have put into the warm-up.
func (r *Runtime) makeZygote(m *template, parent *zygote) error {
	for {
		err := r.forkZygote(m, parent)
		var hazard *hazardError
		var launch *process.LaunchError
		switch {
		case errors.As(err, &hazard):
			if !m.info.SafeWhenLoaded || !r.skipWarmup(m.info) {
				return err
			}
		case errors.As(err, &launch) && m.info.Event == "" && !r.isClosed():
			if !r.skipLearned(launch.Problem) {
				return err
			}
		default:
			return err
		}
	}
}

// forkZygote forks the site zygote and waits until it has loaded the site. It sets
// m.info, and m.zygote if the zygote is ready.
func (r *Runtime) forkZygote(m *template, parent *zygote) error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	pipes, err := newChildPipes(r.opts.Account, func(line string) { r.opts.Output(r.opts.Site+"/zygote", line) })
	if err != nil {
		ours.Close()
		return err
	}
	command := siteCommand{"site", r.zygoteConfig(r.opts.Site+"/zygote", false)}
	p, err := pipes.fork(parent, r.opts.startupLimit(), command, theirs)
	if err != nil {
		ours.Close()
		return err
	}
	defer pipes.report.Close()
	z := &zygote{Process: p, control: ours}
	m.info, err = r.awaitZygote(p, pipes.report)
	var hazard *hazardError
	switch {
	case errors.As(err, &hazard):
		r.background.Go(z.awaitExit) // it runs its exit handlers and exits by itself
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
// as long as the runtime is open. It keeps the results of the warm-up.
func (r *Runtime) awaitZygote(p *process.Process, report *os.File) (startReport, error) {
	l := &loading{Process: p}
	r.setLoading(l)
	defer r.setLoading(nil)
	info, err := r.readZygoteReport(l, report)
	var hazard *hazardError
	if (r.warmsAll() || r.opts.Learned) && info.Warmup != nil && (err == nil || errors.As(err, &hazard)) {
		err = cmp.Or(r.keepWarmup(info.Warmup), err)
	}
	return info, err
}

func (r *Runtime) readZygoteReport(l *loading, report *os.File) (startReport, error) {
	type result struct {
		startReport
		err error
	}
	done := make(chan result, 1)
	r.background.Go(func() {
		e, err := readReport(l.Process, report)
		done <- result{e, err}
	})
	limit, late := r.opts.StartupTimeout()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	why, where := errClosed, ""
	select {
	case d := <-done:
		return d.startReport, d.err
	case <-timer.C:
		why, where = late, l.hangsAt()
	case <-r.closed:
	}
	l.Kill()
	<-l.Done()
	failed := process.NewLaunchError(why.Error()+where, l.Process)
	failed.Err = why
	return startReport{}, failed
}

func (r *Runtime) setLoading(l *loading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loading = l
}
