package wsgi

import "github.com/multisite/multisite/worker/process"

// Preload says whether a site's code is loaded once and forked.
type Preload string

// The values of the key preload.
const (
	PreloadAuto Preload = "auto"  // fork if the site is fork-safe, else let each worker load the code
	PreloadOn   Preload = "true"  // a site that is not fork-safe does not start
	PreloadOff  Preload = "false" // each worker is an interpreter of its own
)

// Preloads reports whether the site takes part in sharing at all.
func (r *Runtime) Preloads() bool { return r.opts.Preload != PreloadOff }

// ProjectKey returns Options.ProjectKey of the runtime's options.
func (r *Runtime) ProjectKey() string { return r.opts.ProjectKey() }

// PreloadNote returns what status shows about how the site's workers share memory:
// "on", or "off" with the reason.
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

// Unload ends the site zygote. The next launch makes another one.
func (r *Runtime) Unload() {
	m := r.readyTemplate()
	if m == nil || m.zygote == nil {
		return
	}
	r.forgetTemplate(m)
	m.zygote.exit()
}

// Limit bounds the site zygote and the workers that it forks. A zygote that cannot
// be bounded is killed, and the next launch makes another one; its workers go on.
func (r *Runtime) Limit(l process.Limits) {
	m := r.readyTemplate()
	if m == nil || m.zygote == nil {
		return
	}
	err := m.zygote.Limit(l)
	if err == nil {
		return
	}
	r.opts.Log.Info("zygote replaced", "pid", m.zygote.PID(), "reason", err)
	r.forgetTemplate(m)
	m.zygote.kill()
}

// ZygotePID returns the process id of the site zygote; 0: there is none.
func (r *Runtime) ZygotePID() int {
	m := r.readyTemplate()
	if m == nil || m.zygote == nil || !m.zygote.alive() {
		return 0
	}
	return m.zygote.PID()
}

// readyTemplate returns the template; nil: there is none yet.
func (r *Runtime) readyTemplate() *template {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.template == nil {
		return nil
	}
	select {
	case <-r.template.ready:
		return r.template
	default:
		return nil
	}
}

// forgetTemplate makes the next launch make a template, unless m was replaced already.
func (r *Runtime) forgetTemplate(m *template) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.template == m {
		r.template = nil
	}
}
