package goapp

import (
	"os"

	"github.com/multisite/multisite/worker/process"
)

// WorkerState is a worker as one image of this program leaves it to the next. Its
// control connection ends: go-plugin's multiplexer has a state that can not be
// left to anybody, and all that a running worker is told is SIGTERM.
type WorkerState struct {
	Process process.Handover `json:"process"`
	Socket  string           `json:"socket"`
}

// HandOver packs the worker.
func (w *Worker) HandOver(b *process.Baggage) (s WorkerState, err error) {
	s.Socket = w.path
	s.Process, err = w.Process.HandOver(b)
	return s, err
}

// InheritWorker takes over a worker that the image before this one has left. One
// that can not be asked any more is ended, and is an error.
func (r *Runtime) InheritWorker(b *process.Baggage, id string, s WorkerState) (*Worker, error) {
	p, err := b.Inherit(s.Process, func(line string) { r.options.Output(id, line) })
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(s.Socket); err != nil {
		p.Kill()
		return nil, err
	}
	w := &Worker{Process: p, id: id, path: s.Socket, transport: newTransport(s.Socket)}
	w.remember()
	return w, nil
}
