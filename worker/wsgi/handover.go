package wsgi

import (
	"fmt"
	"net"
	"os"

	"github.com/multisite/multisite/worker/process"
)

// Handover is what one image of this program leaves to the next about a Runtime.
// Another version of this program reads the JSON keys.
type Handover struct {
	Note   string          `json:"note,omitempty"` // see PreloadNote
	Warmed []WarmupResult  `json:"warmed,omitempty"`
	Zygote *ZygoteHandover `json:"zygote,omitempty"` // nil: the site has no zygote
}

// ZygoteHandover is what one image leaves to the next about a site zygote.
type ZygoteHandover struct {
	Process process.Handover `json:"process"`
	Control int              `json:"control"` // descriptor of our end of its control socket
	Info    startReport      `json:"info"`
}

// WorkerHandover is what one image leaves to the next about a worker. Connections to
// the worker are not handed over: it waits for new ones when they close.
type WorkerHandover struct {
	Process process.Handover `json:"process"`
	Socket  string           `json:"socket"`
	Static  []Static         `json:"static,omitempty"`
}

// Install writes the Python worker where a Runtime will look for it.
func Install(codeDir string) error {
	_, err := installCode(codeDir)
	return err
}

// DropUnfinished stops the project zygotes and a site zygote that is still loading, which
// cannot be handed over. Nothing may be launched meanwhile.
func (r *Runtime) DropUnfinished() {
	r.mu.Lock()
	projects, loading := []*Project{r.joined, r.project}, r.loading
	r.joined = nil
	r.mu.Unlock()
	for _, p := range projects {
		if p != nil {
			p.drop()
		}
	}
	if loading != nil {
		loading.Kill()
	}
	r.background.Wait()
}

// HandOver packs the site zygote. Its mutex stays locked until the exec, so that
// nothing is asked of it, or until the exec has failed.
func (r *Runtime) HandOver(b *process.Baggage) (h Handover, err error) {
	if r.opts.Preload != PreloadOff {
		h.Note = r.PreloadNote()
	}
	h.Warmed = r.WarmupResults()
	m := r.readyTemplate()
	if m == nil || m.zygote == nil || !m.zygote.alive() {
		return h, nil
	}
	z := m.zygote
	z.mu.Lock() // between two commands
	b.OnFailure(z.mu.Unlock)
	state := &ZygoteHandover{Info: m.info}
	if state.Process, err = z.Process.HandOver(b); err != nil {
		return h, err
	}
	state.Control, err = b.Pack(z.control)
	h.Zygote = state
	return h, err
}

// Inherit takes over what the previous image has packed. After an error the zygote
// has been killed, and the next launch makes another one.
func (r *Runtime) Inherit(b *process.Baggage, h Handover) error {
	r.setNote(h.Note)
	r.mu.Lock()
	r.warmed = h.Warmed
	r.mu.Unlock()
	if h.Zygote == nil {
		return nil
	}
	p, err := b.Inherit(h.Zygote.Process, func(line string) { r.opts.Output(r.opts.Site+"/zygote", line) })
	if err != nil {
		return fmt.Errorf("the zygote: %w", err)
	}
	control, err := takeControl(b, h.Zygote.Control)
	if err != nil {
		p.Kill()
		return fmt.Errorf("the zygote: %w", err)
	}
	m := &template{ready: make(chan struct{}), zygote: &zygote{Process: p, control: control}, info: h.Zygote.Info}
	close(m.ready)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.template = m
	return nil
}

func takeControl(b *process.Baggage, fd int) (*net.UnixConn, error) {
	f, err := b.Take(fd, "control")
	if err != nil {
		return nil, err
	}
	defer f.Close() // FileConn has its own copy
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("descriptor %d is not a control socket", fd)
	}
	return u, nil
}

// HandOver packs the worker.
func (w *Worker) HandOver(b *process.Baggage) (s WorkerHandover, err error) {
	s = WorkerHandover{Socket: w.socket, Static: w.info.Static}
	s.Process, err = w.Process.HandOver(b)
	return s, err
}

// InheritWorker takes over a worker that the previous image has packed. A worker
// whose socket is gone is killed, and is an error.
func (r *Runtime) InheritWorker(b *process.Baggage, id string, s WorkerHandover) (*Worker, error) {
	p, err := b.Inherit(s.Process, func(line string) { r.opts.Output(id, line) })
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(s.Socket); err != nil {
		p.Kill()
		return nil, err
	}
	return &Worker{Process: p, socket: s.Socket, client: r.client(s.Socket), info: startReport{Static: s.Static}}, nil
}
