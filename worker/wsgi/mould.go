package wsgi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/multisite/multisite/worker/process"
)

// mould is what a site's workers are made from: its zygote, or the project's for
// a site that loads its code in each worker, or a fresh interpreter.
type mould struct {
	single  bool          // for a site of one worker
	ready   chan struct{} // closed when all below is set
	zygote  *zygote
	project *Project // that forks workers itself
	info    event
	err     error // why the site can not start
}

// getMould returns what workers are made from; the first call makes it. A mould
// that failed or whose zygote has died is made anew by the next call.
func (r *Runtime) getMould(ctx context.Context, id string) (*mould, error) {
	var ended *zygote
	r.mu.Lock()
	if r.isClosed() {
		r.mu.Unlock()
		return nil, errClosed
	}
	if r.mould == nil || r.mould.spent() || r.mould.outgrown(id) {
		if r.mould != nil {
			ended = r.mould.zygote
		}
		m := &mould{ready: make(chan struct{}), single: r.opts.Processes == 1 && firstOf(id)}
		r.mould = m
		project := r.chooseProjectLocked()
		r.making.Go(func() { r.make(m, project) })
	}
	m := r.mould
	r.mu.Unlock()
	if ended != nil {
		r.opts.Log.Warn("zygote has ended", "pid", ended.PID(), "exit", ended.Exit().String())
	}
	select {
	case <-m.ready:
		return m, m.err
	case <-ctx.Done():
		return nil, r.notInTime(ctx)
	}
}

// notInTime is why a launch has ended that waited for the mould.
func (r *Runtime) notInTime(ctx context.Context) error {
	why := context.Cause(ctx)
	r.mu.Lock()
	l := r.loading
	r.mu.Unlock()
	if l == nil || !overdue(ctx) {
		return why
	}
	where := l.where()
	return &process.LaunchError{Problem: why.Error() + where, Detail: strings.Join(l.Tail(), "\n"), Err: why}
}

// chooseProjectLocked returns the project that a mould is made with: the one of
// all sites for the first, one of its own for those that follow.
func (r *Runtime) chooseProjectLocked() *Project {
	project := r.joined
	r.joined = nil
	if project == nil {
		project = newProject([]*Runtime{r}, r.opts.Log)
	}
	r.project = project
	return project
}

// spent tells whether the mould has to be made anew.
func (m *mould) spent() bool {
	select {
	case <-m.ready:
		return m.err != nil || m.zygote != nil && !m.zygote.alive()
	default:
		return false
	}
}

// firstOf tells whether an id is that of a site's first worker.
func firstOf(id string) bool { return strings.HasSuffix(id, "/1") }

// outgrown tells whether a mould for one worker is asked for another: the site was
// scaled, and a zygote pays from the second worker on.
func (m *mould) outgrown(id string) bool {
	select {
	case <-m.ready:
		return m.single && m.err == nil && !firstOf(id)
	default:
		return false
	}
}

// make makes the mould. Where it can not be a zygote of the site, that is said
// once in the log and kept for status.
func (r *Runtime) make(m *mould, project *Project) {
	defer close(m.ready)
	if m.single && len(project.members) == 1 {
		r.setNote("one worker")
		project.release(r, 1)
		return
	}
	z, err := project.get(r.closed)
	if err == nil && project.leftOut[r.opts.Site] {
		project.release(r, 1)
		r.mu.Lock()
		project = r.chooseProjectLocked()
		r.mu.Unlock()
		z, err = project.get(r.closed)
	}
	if err != nil {
		project.release(r, 1)
		if m.err = errClosed; !r.isClosed() {
			m.err = r.fallBack(m, fmt.Sprintf("no project zygote: %v", err))
		}
		return
	}
	if m.single {
		m.project = project
		r.setNote("on (project)")
		return // its one worker is forked from the project zygote
	}
	m.err = r.makeZygote(m, z)
	var unsafe *unsafeError
	switch {
	case m.err == nil:
		r.setNote(r.howShared(m))
	case errors.As(m.err, &unsafe):
		if m.err = r.fallBack(m, unsafe.text()); m.err == nil {
			m.project = project
			project.need(r, r.opts.Processes)
		}
	}
	project.release(r, 1)
}

// fallBack lets each worker load the code itself, unless preload = true forbids it.
func (r *Runtime) fallBack(m *mould, why string) error {
	if r.opts.Preload == PreloadOn {
		return &process.LaunchError{Problem: "preload = true, but " + why}
	}
	r.setNote("off (" + why + ")")
	r.opts.Log.Warn("workers load the code themselves: more memory, slower start", "reason", why)
	return nil
}

// howShared is what status says of workers that are forked from the site's zygote.
func (r *Runtime) howShared(m *mould) string {
	note := "on"
	if why := r.unwarmed(); why != "" {
		note += ", without warm-up (" + why + ")"
	}
	if n := m.info.EndedByFork; n > 0 {
		note += fmt.Sprintf(" (a fork ends the threads of C libraries: %d)", n)
	}
	return note
}
