package process

import (
	"fmt"
	"sync"
)

// reaping is held for reading while a process is reaped, and for writing while none may
// be: what exits then is left for the next image to reap.
var reaping sync.RWMutex

// HoldReaping leaves processes that exit from now on unreaped until resume is called.
func HoldReaping() (resume func()) {
	reaping.Lock()
	return reaping.Unlock
}

// Handover is a process as one image of this program hands it over to the next.
type Handover struct {
	PID    int          `json:"pid"`
	Output *OutputState `json:"output,omitempty"`
	Limits LimitState   `json:"limits"`
	Exit   *Exit        `json:"ended,omitempty"` // nil: it was not reaped
	OOM    bool         `json:"oom,omitempty"`
	Sent   uint64       `json:"sent,omitempty"` // see Process.sent
}

// LimitState is the Limits that a process has.
type LimitState struct {
	Memory   int64  `json:"memory,omitempty"`
	Tasks    int    `json:"tasks,omitempty"`
	Priority int    `json:"priority,omitempty"`
	Cgroup   string `json:"group,omitempty"` // directory of its control group; "": none of its own
}

// HandOver packs what the next image needs to take charge of the process. Its output is
// not read from now on, unless the exec fails.
func (p *Process) HandOver(b *Baggage) (Handover, error) {
	h := Handover{PID: p.pid, Limits: p.limitState(), Sent: p.sent.Load()}
	select {
	case <-p.done:
		h.Exit, h.OOM = &p.exit, p.OOM()
		return h, nil
	default:
	}
	var err error
	if p.output != nil {
		h.Output, err = p.output.handOver(b)
	}
	return h, err
}

func (p *Process) limitState() LimitState {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	l := LimitState{Memory: p.limits.Memory, Tasks: p.limits.Tasks, Priority: p.limits.Priority}
	if p.cgroup != nil {
		l.Cgroup = p.cgroup.dir
	}
	return l
}

// Inherit takes charge of a process of the image before this one. line is called for
// each line that it writes. It is an error if the process is not our child any more.
func (b *Baggage) Inherit(h Handover, line func(string)) (*Process, error) {
	var output *Output
	if h.Output != nil {
		var err error
		if output, err = h.Output.inherit(b, line); err != nil {
			return nil, fmt.Errorf("inherit process %d: %w", h.PID, err)
		}
	}
	if h.Exit != nil {
		return inheritExited(h), nil
	}
	p := &Process{pid: h.PID, output: output, limits: Limits{Memory: h.Limits.Memory, Tasks: h.Limits.Tasks, Priority: h.Limits.Priority}}
	p.sent.Store(h.Sent)
	if h.Limits.Cgroup != "" {
		p.cgroup = &cgroup{h.Limits.Cgroup}
	}
	if err := p.adopt(nil); err != nil {
		if output != nil {
			output.Close()
		}
		return nil, err
	}
	return p, nil
}

// inheritExited returns a process of which only its exit is known.
func inheritExited(h Handover) *Process {
	p := &Process{pid: h.PID, done: make(chan struct{}), exit: *h.Exit, oom: h.OOM}
	p.sent.Store(h.Sent)
	close(p.done)
	return p
}
