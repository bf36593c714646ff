package process

import (
	"fmt"
	"sync"
)

// reaping is held while the status of a dead process is taken; for writing, when
// none may be: what dies then is left for the next image to find.
var reaping sync.RWMutex

// HoldReaping leaves processes that end from now on as they are, until release is called.
func HoldReaping() (release func()) {
	reaping.Lock()
	return reaping.Unlock
}

// Handover is a process as one image of this program leaves it to the next.
type Handover struct {
	PID    int          `json:"pid"`
	Output *OutputState `json:"output,omitempty"`
	Limits LimitState   `json:"limits"`
	Exit   *Exit        `json:"ended,omitempty"` // nil: it has not been waited for
	OOM    bool         `json:"oom,omitempty"`
	Sent   uint64       `json:"sent,omitempty"` // signals
}

// LimitState is what bounds a process.
type LimitState struct {
	Memory   int64  `json:"memory,omitempty"`
	Tasks    int    `json:"tasks,omitempty"`
	Priority int    `json:"priority,omitempty"`
	Group    string `json:"group,omitempty"` // directory of its control group; "": none of its own
}

// HandOver packs what the next image needs to take charge of the process. From now
// until the exec, or its failure, nothing that it writes is read.
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
	if p.group != nil {
		l.Group = p.group.dir
	}
	return l
}

// Inherit takes charge of a process that the image before this one had. line gets
// what it writes. One that is not our child any more, whatever became of it, is an
// error.
func (b *Baggage) Inherit(h Handover, line func(string)) (*Process, error) {
	var output *Output
	if h.Output != nil {
		var err error
		if output, err = h.Output.inherit(b, line); err != nil {
			return nil, fmt.Errorf("inherit process %d: %w", h.PID, err)
		}
	}
	if h.Exit != nil {
		return inheritEnded(h), nil
	}
	p := &Process{pid: h.PID, output: output, limits: Limits{Memory: h.Limits.Memory, Tasks: h.Limits.Tasks, Priority: h.Limits.Priority}}
	p.sent.Store(h.Sent)
	if h.Limits.Group != "" {
		p.group = &group{h.Limits.Group}
	}
	if err := p.adopt(nil); err != nil {
		if output != nil {
			output.Close()
		}
		return nil, err
	}
	return p, nil
}

// inheritEnded returns a process of which nothing is left but how it ended.
func inheritEnded(h Handover) *Process {
	p := &Process{pid: h.PID, done: make(chan struct{}), exit: *h.Exit, oom: h.OOM}
	p.sent.Store(h.Sent)
	close(p.done)
	return p
}
