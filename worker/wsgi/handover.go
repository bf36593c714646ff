package wsgi

import (
	"fmt"
	"net"
	"os"

	"github.com/multisite/multisite/worker/process"
)

// Handover is what one image of this program leaves to the next of a Runtime.
type Handover struct {
	Note   string          `json:"note,omitempty"` // how workers share memory
	Warmed []WarmupResult  `json:"warmed,omitempty"`
	Zygote *ZygoteHandover `json:"zygote,omitempty"`
}

// ZygoteHandover is a site's zygote as it is left to the next image.
type ZygoteHandover struct {
	Process process.Handover `json:"process"`
	Control int              `json:"control"` // descriptor of our end of its control socket
	Info    event            `json:"info"`
}

// WorkerHandover is a worker as it is left to the next image. Connections to it are
// not: it waits for new ones when they close.
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

// DropUnfinished ends what loads code for zygotes and is not done: it can not be
// left to the next image. Nothing may be launched meanwhile.
func (r *Runtime) DropUnfinished() {
	r.mu.Lock()
	projects, loading := []*Project{r.joined, r.project}, r.loading
	r.joined = nil
	r.mu.Unlock()
	for _, p := range projects {
		if p != nil {
			p.leave()
		}
	}
	if loading != nil {
		loading.Kill()
	}
	r.making.Wait()
}

// HandOver packs the site's zygote, which is not asked for anything until the
// exec, or its failure.
func (r *Runtime) HandOver(b *process.Baggage) (h Handover, err error) {
	if r.opts.Preload != PreloadOff {
		h.Note = r.PreloadNote()
	}
	h.Warmed = r.WarmupResults()
	m := r.made()
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

// Inherit takes over what the image before this one has left. After an error the
// zygote is ended, and the next launch makes another one.
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
	m := &mould{ready: make(chan struct{}), zygote: &zygote{Process: p, control: control}, info: h.Zygote.Info}
	close(m.ready)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mould = m
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

// InheritWorker takes over a worker that the image before this one has left. One
// that can not be asked any more is ended, and is an error.
func (r *Runtime) InheritWorker(b *process.Baggage, id string, s WorkerHandover) (*Worker, error) {
	p, err := b.Inherit(s.Process, func(line string) { r.opts.Output(id, line) })
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(s.Socket); err != nil {
		p.Kill()
		return nil, err
	}
	return &Worker{Process: p, socket: s.Socket, client: r.client(s.Socket), info: event{Static: s.Static}}, nil
}
