package wsgi

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/multisite/multisite/worker/process"
)

// born starts a worker from the mould: forked from the site's zygote, else from
// the project's while that is there, else in a fresh interpreter.
func (r *Runtime) born(m *mould, id string, listener *os.File) (*process.Process, *os.File, error) {
	if m.zygote != nil {
		p, status, err := r.forkWorker(m.zygote, id, forkCommand{"fork", id}, listener)
		var unsafe *unsafeError
		if !errors.As(err, &unsafe) {
			return p, status, err
		}
		if err := r.dismiss(m, unsafe.text()); err != nil {
			return nil, nil, err
		}
	}
	if m.project != nil {
		if z, err := m.project.get(r.closed); err == nil {
			defer m.project.release(r, 1)
			p, status, err := r.forkWorker(z, id, siteCommand{"worker", r.zygoteConfig(id, false)}, listener)
			if !errors.Is(err, errZygoteGone) {
				return p, status, err
			}
		}
	}
	return r.spawn(id, listener)
}

func (r *Runtime) forkWorker(z *zygote, id string, command any, listener *os.File) (*process.Process, *os.File, error) {
	b, err := newBirth(r.opts.Account, func(line string) { r.opts.Output(id, line) })
	if err != nil {
		return nil, nil, err
	}
	p, err := b.fork(z, r.opts.StartupTimeout(), command, listener)
	return p, b.status, err
}

// dismiss replaces a mould whose zygote is not safe to fork any more by one
// without: a background thread may have started long after the site was loaded.
func (r *Runtime) dismiss(old *mould, why string) error {
	m := &mould{ready: make(chan struct{})}
	m.err = r.fallBack(m, why)
	close(m.ready)
	r.mu.Lock()
	if r.mould == old {
		r.mould = m
	}
	r.mu.Unlock()
	old.zygote.kill() // its other workers go on
	return m.err
}

// count gives a zygote up whose workers do not become ready: a fork may have
// caught it in a state that no check sees. A second zygote that fails as the
// first did is the last.
func (r *Runtime) count(ctx context.Context, m *mould, err error) {
	if m.zygote == nil || errors.Is(ctx.Err(), context.Canceled) { // no longer wanted: that says nothing
		return
	}
	r.mu.Lock()
	if err == nil {
		r.misses = 0
		r.mu.Unlock()
		return
	}
	r.misses++
	giveUp := r.misses >= missesAllowed
	if giveUp {
		r.misses = 0
		r.broken++
	}
	last := r.broken > 1
	r.mu.Unlock()
	switch {
	case giveUp && last:
		_ = r.dismiss(m, fmt.Sprintf("%d workers in a row did not start from a second zygote", missesAllowed)) // the next launch says it
	case giveUp:
		r.opts.Log.Warn("zygote given up", "pid", m.zygote.PID(), "workers", missesAllowed, "error", err)
		m.zygote.kill()
	}
}
