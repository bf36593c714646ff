package supervisor

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
)

// tasks are the services and the cron entries of a site. They start with it, end
// when its last worker has, and run with the settings that its workers run with:
// a reload that fails leaves them alone. Whether the site sleeps is nothing to them.
type tasks struct {
	site *site

	mu sync.Mutex
	// mu protects all below
	cfg      *config.Site
	begin    func(run func(ctx, force context.Context)) (end func(reason string)) // nil: the site does not run
	why      string                                                               // for which they end when they are stopped
	services map[string]runningService
	jobs     map[string]runningJob
	last     map[string]*process.Process // the last one of each, by "shop/service.mail"

	// what an upgrade has left, until it is started
	leftServices, leftJobs map[string]task.Handover
}

type runningService struct {
	*task.Service
	end func(reason string) // returns when it has ended
}

type runningJob struct {
	*task.Job
	end func(reason string)
}

func newTasks(t *site, c *config.Site) *tasks {
	return &tasks{
		site: t, cfg: c, why: task.ReasonStop, services: map[string]runningService{}, jobs: map[string]runningJob{}, last: map[string]*process.Process{},
		leftServices: map[string]task.Handover{}, leftJobs: map[string]task.Handover{},
	}
}

// note takes note of a process that runs now.
func (k *tasks) note(id string, p *process.Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last[id] = p
}

// ended returns the process of an id and a pid that has ended, nil if it is not known.
func (k *tasks) ended(id string, pid int) *process.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.last[id]; p != nil && p.PID() == pid {
		return p
	}
	return nil
}

// limit bounds those that run.
func (k *tasks) limit(l process.Limits) {
	k.mu.Lock()
	last := maps.Clone(k.last)
	k.mu.Unlock()
	for id, p := range last {
		select {
		case <-p.Done(): // its number may be another's
		default:
			if err := p.Limit(l); err != nil {
				k.site.log.Warn("a limit will hold for its next process only", "task", id, "error", err)
			}
		}
	}
}

// start starts all of them. When force ends they are killed.
func (k *tasks) start(force context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begin = func(run func(ctx, force context.Context)) func(string) {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(ctx, force)
		}()
		return func(reason string) {
			cancel(task.StopReason(reason))
			<-done
		}
	}
	k.startMissingLocked()
}

// endFor says why they will end once stop is called.
func (k *tasks) endFor(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.why = reason
}

// stop ends all of them and returns when they have.
func (k *tasks) stop() {
	k.mu.Lock()
	k.begin = nil
	ends := k.takeLocked(k.why, func(string) bool { return true }, func(string) bool { return true })
	k.mu.Unlock()
	together(ends)
}

// apply makes them those of c, and returns when those that c does not have are
// gone. It starts services whose command has changed anew, or all of them.
func (k *tasks) apply(c *config.Site, reason string, all bool) {
	k.mu.Lock()
	old := k.cfg
	k.cfg = c
	ends := k.takeLocked(reason,
		func(name string) bool { _, ok := serviceOf(c, name); return !ok },
		func(name string) bool { _, ok := cronOf(c, name); return !ok })
	for name, s := range k.services {
		was, _ := serviceOf(old, name)
		if now, _ := serviceOf(c, name); all || !sameCommand(was.Command, now.Command) {
			ends = append(ends, func() { s.Restart(reason) })
		}
	}
	for name, j := range k.jobs {
		now, _ := cronOf(c, name)
		j.SetSchedule(now.Schedule)
	}
	k.startMissingLocked()
	k.mu.Unlock()
	together(ends)
}

// takeLocked takes tasks out, and returns what ends them for a reason.
func (k *tasks) takeLocked(reason string, service, job func(name string) bool) (ends []func()) {
	for name, s := range k.services {
		if service(name) {
			ends = append(ends, func() { s.end(reason) })
			delete(k.services, name)
		}
	}
	for name, j := range k.jobs {
		if job(name) {
			ends = append(ends, func() { j.end(reason) })
			delete(k.jobs, name)
		}
	}
	return ends
}

func (k *tasks) startMissingLocked() {
	if k.begin == nil {
		return
	}
	for _, c := range k.cfg.Services {
		if _, runs := k.services[c.Name]; !runs {
			s := task.NewService(k.serviceOptions(c.Name))
			if h, left := k.leftServices[c.Name]; left {
				s.Inherit(h)
				delete(k.leftServices, c.Name)
			}
			k.services[c.Name] = runningService{s, k.begin(s.Run)}
		}
	}
	for _, c := range k.cfg.Cron {
		if _, runs := k.jobs[c.Name]; !runs {
			j := task.NewJob(c.Schedule, k.cronOptions(c.Name))
			if h, left := k.leftJobs[c.Name]; left {
				j.Inherit(h)
				delete(k.leftJobs, c.Name)
			}
			k.jobs[c.Name] = runningJob{j, k.begin(j.Run)}
		}
	}
}

// now are the settings of now and the tasks that run.
func (k *tasks) now() (*config.Site, map[string]runningService, map[string]runningJob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cfg, maps.Clone(k.services), maps.Clone(k.jobs)
}

func serviceOf(c *config.Site, name string) (config.Service, bool) {
	for _, s := range c.Services {
		if s.Name == name {
			return s, true
		}
	}
	return config.Service{}, false
}

func cronOf(c *config.Site, name string) (config.Cron, bool) {
	for _, e := range c.Cron {
		if e.Name == name {
			return e, true
		}
	}
	return config.Cron{}, false
}

func sameCommand(a, b config.Command) bool {
	return a.Path == b.Path && slices.Equal(a.Args, b.Args)
}

func together(calls []func()) {
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(call)
	}
	wg.Wait()
}
