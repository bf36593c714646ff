package wsgi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/multisite/multisite/worker/process"
)

// template is what the workers of a generation are made from: its site zygote,
// else the project zygote, else an interpreter of its own. getTemplate makes it;
// after ready is closed no field changes, except that the zygote may exit.
type template struct {
	single bool          // made for a site of one worker; set before all others
	ready  chan struct{} // closed when all fields below are set

	zygote     *zygote     // site zygote; nil: the workers load the site themselves
	project    *Project    // its zygote forks the workers when zygote is nil; nil: none does
	notLearned string      // why the site shares no modules with others that could; "": it does, or there are none
	info       startReport // of the site zygote, valid for its workers too
	err        error       // why the site cannot start
}

// getTemplate returns the template, which the first call makes. One that failed,
// or whose zygote has exited, is made again by the next call.
func (r *Runtime) getTemplate(ctx context.Context, id string) (*template, error) {
	var exited *zygote
	r.mu.Lock()
	if r.isClosed() {
		r.mu.Unlock()
		return nil, errClosed
	}
	if r.template == nil || r.template.unusable() || r.template.tooSmallFor(id) {
		if r.template != nil {
			exited = r.template.zygote
		}
		m := &template{ready: make(chan struct{}), single: r.opts.Processes == 1 && isFirstWorker(id)}
		r.template = m
		project := r.chooseProjectLocked()
		r.background.Go(func() { r.makeTemplate(m, project) })
	}
	m := r.template
	r.mu.Unlock()
	if exited != nil {
		r.opts.Log.Warn("zygote exited unexpectedly", "pid", exited.PID(), "exit", exited.Exit().String())
	}
	select {
	case <-m.ready:
		return m, m.err
	case <-ctx.Done():
		return nil, r.timeoutError(ctx)
	}
}

// timeoutError returns why a launch that waited for the template was given up, and
// where the zygote hangs that it waited for.
func (r *Runtime) timeoutError(ctx context.Context) error {
	why := context.Cause(ctx)
	r.mu.Lock()
	l := r.loading
	r.mu.Unlock()
	if l == nil || !timedOut(ctx) {
		return why
	}
	where := l.hangsAt()
	return &process.LaunchError{Problem: why.Error() + where, Detail: strings.Join(l.Tail(), "\n"), Err: why}
}

// chooseProjectLocked returns the project for a new template: for the first one
// the project of all sites, for a later one a project that has only this site. It is
// called with mu held.
func (r *Runtime) chooseProjectLocked() *Project {
	project := r.joined
	r.joined = nil
	if project == nil {
		project = newProject([]*Runtime{r}, r.opts.Log)
	}
	r.project = project
	return project
}

// unusable reports whether the template has to be made again.
func (m *template) unusable() bool {
	select {
	case <-m.ready:
		return m.err != nil || m.zygote != nil && !m.zygote.alive()
	default:
		return false
	}
}

// isFirstWorker reports whether an id is that of a site's first worker.
func isFirstWorker(id string) bool { return strings.HasSuffix(id, "/1") }

// tooSmallFor reports whether a template for one worker is asked for another one:
// the site was scaled, and from the second worker on a zygote saves memory.
func (m *template) tooSmallFor(id string) bool {
	select {
	case <-m.ready:
		return m.single && m.err == nil && !isFirstWorker(id)
	default:
		return false
	}
}

// makeTemplate sets the fields of m. Where the site gets no zygote, the reason is
// logged once and shown by status.
func (r *Runtime) makeTemplate(m *template, project *Project) {
	defer close(m.ready)
	if m.single && len(project.members) == 1 {
		r.setNote("one worker")
		project.forksDone(r, 1)
		return
	}
	project, z, err := r.getProjectZygote(m, project)
	if err != nil {
		project.forksDone(r, 1)
		if m.err = errClosed; !r.isClosed() {
			m.err = r.fallBack(fmt.Sprintf("the project zygote did not start: %v", err))
		}
		return
	}
	if m.single {
		m.project = project
		r.setNote("on (project)" + m.notLearnedNote())
		return // the fork of its one worker from the project zygote is still to come
	}
	m.err = r.makeZygote(m, z)
	var hazard *hazardError
	switch {
	case m.err == nil:
		r.setNote(r.sharingNote(m))
	case errors.As(m.err, &hazard):
		if m.err = r.fallBack(hazard.text()); m.err == nil {
			m.project = project
			project.expectForks(r, r.opts.Processes)
		}
	}
	project.forksDone(r, 1)
}

// getProjectZygote returns the zygote of project, or of the one that the site goes to
// because it cannot share with the sites of this one. It sets m.notLearned.
func (r *Runtime) getProjectZygote(m *template, project *Project) (*Project, *zygote, error) {
	for {
		z, err := project.get(r.closed)
		if errors.Is(err, errClosed) {
			return project, nil, err
		}
		if why := project.leftOut[r.opts.Site]; why != "" {
			m.notLearned = why
		}
		next := r.nextProject(project)
		if next == nil {
			return project, z, err
		}
		project.forksDone(r, 1)
		project = next
	}
}

// nextProject returns the project that the site goes to, since it does not share in
// this one, which has started; nil: it stays.
func (r *Runtime) nextProject(project *Project) *Project {
	r.mu.Lock()
	defer r.mu.Unlock()
	if project.leftOut[r.opts.Site] != "" && len(project.members) > 1 {
		return r.chooseProjectLocked()
	}
	next := project.restFor(r)
	if next != nil {
		r.project = next
	}
	return next
}

// fallBack makes each worker load the code itself; with preload = true it returns
// an error instead.
func (r *Runtime) fallBack(why string) error {
	if r.opts.Preload == PreloadOn {
		return &process.LaunchError{Problem: "preload = true, but workers cannot be forked: " + why}
	}
	r.setNote("off (" + why + ")")
	r.opts.Log.Warn("workers load the code themselves, which takes more memory and a slower start", "reason", why)
	return nil
}

// notLearnedNote returns what status shows about a site that shares no modules, or "" if it does.
func (m *template) notLearnedNote() string {
	if m.notLearned == "" {
		return ""
	}
	return ", shared modules not learned (" + m.notLearned + ")"
}
