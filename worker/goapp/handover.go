package goapp

import (
	"os"

	"github.com/multisite/multisite/worker/process"
)

// WorkerHandover is a worker as one image of the supervisor hands it over to the next.
type WorkerHandover struct {
	Process process.Handover `json:"process"`
	Socket  string           `json:"socket"`
	Control string           `json:"control,omitempty"` // path of the control socket; "": unknown, the image was an older version
}

// HandOver packs the worker for the next image.
func (w *Worker) HandOver(b *process.Baggage) (s WorkerHandover, err error) {
	s.Socket, s.Control = w.path, w.controlPath
	s.Process, err = w.Process.HandOver(b)
	return s, err
}

// InheritWorker takes over a worker that the image before this one has handed over, and
// connects to its control socket again. A worker whose socket for requests is gone is
// killed, and is an error.
func (r *Runtime) InheritWorker(b *process.Baggage, id string, s WorkerHandover) (*Worker, error) {
	p, err := b.Inherit(s.Process, func(line string) { r.options.Output(id, line) })
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(s.Socket); err != nil {
		p.Kill()
		return nil, err
	}
	w := &Worker{Process: p, id: id, path: s.Socket, controlPath: s.Control, transport: newTransport(s.Socket)}
	w.remember()
	if s.Control != "" {
		w.link = relink(s.Control, r.options.Account, func(err error) {
			select {
			case <-p.Done(): // that is why
			default:
				r.options.Log.Warn("no control connection after an upgrade", "worker", id, "pid", p.PID(), "error", err)
			}
		})
	}
	return w, nil
}
