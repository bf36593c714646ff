package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Handover is a Pool as one image of this program hands it over to the next. Its JSON is
// read by other versions of this program.
type Handover struct {
	Generation int              `json:"generation"`
	Reason     Reason           `json:"reason,omitempty"` // why workers of older generations exit
	Desired    int              `json:"desired"`
	Served     int64            `json:"served,omitempty"`
	Refused    int64            `json:"refused,omitempty"`
	Restarts   int              `json:"restarts,omitempty"`
	Failures   int              `json:"failures,omitempty"` // as backoff counts them
	Failed     time.Time        `json:"failed"`             // when the last one was
	Retry      time.Time        `json:"retry"`
	LastError  string           `json:"broken,omitempty"` // why the last launch failed
	Cut        []string         `json:"-"`                // requests that are lost: "GET /path"
	Workers    []WorkerHandover `json:"workers"`
}

// WorkerHandover is one worker; member says what its fields mean. The next image sets
// Worker to the same process before it makes its Pool, which drops workers without one.
type WorkerHandover struct {
	ID         string    `json:"id"`
	Slot       int       `json:"slot"`
	Generation int       `json:"generation"`
	Threads    int       `json:"threads,omitempty"`
	State      State     `json:"state"`
	Reason     Reason    `json:"reason,omitempty"`
	Exceeded   Reason    `json:"over,omitempty"`
	Due        Reason    `json:"spent,omitempty"`
	Started    time.Time `json:"started"`
	Told       time.Time `json:"told"`
	Ready      time.Time `json:"ready"`
	Used       time.Time `json:"used"`
	Idle       time.Time `json:"idle"`
	Chance     float64   `json:"chance"`
	Requests   int64     `json:"requests"`

	Worker Worker `json:"-"`
}

// Pause cancels launches and lets nothing be launched until resume is called. Requests
// go on and workers may exit. No Roll may run.
func (p *Pool) Pause() (resume func()) {
	p.mu.Lock()
	p.paused = true
	for _, m := range p.members {
		if m.state == Starting {
			p.retireLocked(m, ReasonRestart)
		}
	}
	p.mu.Unlock()
	p.AwaitLaunches(context.Background())
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.paused = false
		p.changedLocked()
	}
}

// HandOver returns what the next image needs to go on. The pool must be paused.
// A worker that still has a request drains in the next image: its client is gone by then.
func (p *Pool) HandOver() Handover {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Handover{
		Generation: p.current.number, Reason: p.current.reason, Desired: p.desired,
		Served: p.totals.served, Refused: p.totals.refused, Restarts: p.totals.restarts,
		Failures: p.backoff.failures, Failed: p.backoff.last, Retry: p.backoff.retry,
	}
	if p.backoff.lastError != nil {
		h.LastError = p.backoff.lastError.Error()
	}
	for _, m := range p.members {
		if m.worker == nil || m.hasExited() {
			continue
		}
		w := WorkerHandover{
			ID: m.id, Slot: m.slot, Generation: m.generation.number, Threads: m.threads, State: m.state, Reason: m.reason, Exceeded: m.exceeded, Due: m.due,
			Started: m.started, Told: m.told, Ready: m.ready, Used: m.used, Idle: m.idle, Chance: m.chance, Requests: m.requests, Worker: m.worker,
		}
		if w.State == Ready && len(m.claims) > 0 {
			w.State, w.Reason = Draining, ReasonRestart
		}
		for _, c := range m.claims {
			h.Cut = append(h.Cut, c.what)
		}
		h.Workers = append(h.Workers, w)
	}
	return h
}

// inherit makes a new pool go on where that of the image before stopped.
func (p *Pool) inherit(h *Handover) {
	p.current.number, p.current.reason = h.Generation, h.Reason
	p.desired = min(max(h.Desired, p.settings.Min), p.settings.Max)
	p.totals = totals{served: h.Served, refused: h.Refused, restarts: h.Restarts}
	p.backoff = backoff{failures: h.Failures, last: h.Failed, retry: h.Retry}
	if h.LastError != "" {
		p.backoff.lastError = errors.New(h.LastError)
	}
	generations := map[int]*generation{h.Generation: p.current}
	for _, w := range h.Workers {
		if w.Worker == nil {
			continue
		}
		if generations[w.Generation] == nil {
			generations[w.Generation] = &generation{number: w.Generation}
		}
		m := newMember(w.ID, w.Slot, generations[w.Generation], w.Started, w.Chance)
		m.threads, m.state, m.worker, m.exceeded, m.due = w.Threads, Ready, w.Worker, w.Exceeded, w.Due
		m.ready, m.used, m.idle, m.requests, m.answered = w.Ready, w.Used, w.Idle, w.Requests, w.Requests > 0
		if w.State != Ready {
			m.retireLocked(w.State, w.Reason)
			if !w.Told.IsZero() { // older versions do not tell it
				m.told = w.Told
			}
		}
		p.joinLocked(m)
		if m.state == Ready {
			p.rank.add(m)
		}
	}
}

// inherited returns the workers that the pool has before Run starts any.
func (p *Pool) inherited() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.members)
}
