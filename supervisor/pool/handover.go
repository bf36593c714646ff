package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Handover is what one image of this program leaves to the next of a Pool.
type Handover struct {
	Generation int              `json:"generation"`
	Reason     Reason           `json:"reason,omitempty"` // why workers of older generations end
	Desired    int              `json:"desired"`
	Served     int64            `json:"served,omitempty"`
	Refused    int64            `json:"refused,omitempty"`
	Restarts   int              `json:"restarts,omitempty"`
	Failures   int              `json:"failures,omitempty"` // to start a worker, in a row
	Failed     time.Time        `json:"failed"`             // when the last one did
	Retry      time.Time        `json:"retry"`
	LastError  string           `json:"broken,omitempty"`
	Cut        []string         `json:"-"` // requests that are: "GET /path"
	Workers    []WorkerHandover `json:"workers"`
}

// WorkerHandover is one worker. Whoever makes the next image's Pool sets Worker to
// the same process; one without is not taken over.
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
	Ready      time.Time `json:"ready"`
	Used       time.Time `json:"used"`
	Idle       time.Time `json:"idle"`
	Chance     float64   `json:"chance"`
	Requests   int64     `json:"requests"`

	Worker Worker `json:"-"`
}

// Pause lets nothing be launched until resume is called, and gives up what is
// being launched. Requests and the ends of workers go their way. No Roll may run.
func (p *Pool) Pause() (resume func()) {
	p.mu.Lock()
	p.paused = true
	for _, m := range p.members {
		if m.state == Starting {
			p.leaveLocked(m, ReasonRestart)
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
// A worker that still has a request, whose client is gone by then, is to end.
func (p *Pool) HandOver() Handover {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := Handover{
		Generation: p.current.generation, Reason: p.current.reason, Desired: p.desired,
		Served: p.totals.served, Refused: p.totals.refused, Restarts: p.totals.restarts,
		Failures: p.trouble.failures, Failed: p.trouble.last, Retry: p.trouble.retry,
	}
	if p.trouble.broken != nil {
		h.LastError = p.trouble.broken.Error()
	}
	for _, m := range p.members {
		if m.worker == nil || m.hasEnded() {
			continue
		}
		w := WorkerHandover{
			ID: m.id, Slot: m.slot, Generation: m.release.generation, Threads: m.threads, State: m.state, Reason: m.reason, Exceeded: m.over, Due: m.spent,
			Started: m.started, Ready: m.ready, Used: m.used, Idle: m.idle, Chance: m.chance, Requests: m.requests, Worker: m.worker,
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

// inherit makes a new pool that of the image before.
func (p *Pool) inherit(h *Handover) {
	p.current.generation, p.current.reason = h.Generation, h.Reason
	p.desired = min(max(h.Desired, p.set.Min), p.set.Max)
	p.totals = totals{served: h.Served, refused: h.Refused, restarts: h.Restarts}
	p.trouble = trouble{failures: h.Failures, last: h.Failed, retry: h.Retry}
	if h.LastError != "" {
		p.trouble.broken = errors.New(h.LastError)
	}
	releases := map[int]*release{h.Generation: p.current}
	for _, w := range h.Workers {
		if w.Worker == nil {
			continue
		}
		if releases[w.Generation] == nil {
			releases[w.Generation] = &release{generation: w.Generation}
		}
		m := &member{
			id: w.ID, slot: w.Slot, release: releases[w.Generation], threads: w.Threads, state: Ready, worker: w.Worker, over: w.Exceeded, spent: w.Due,
			started: w.Started, ready: w.Ready, used: w.Used, idle: w.Idle, chance: w.Chance, requests: w.Requests,
			answered: w.Requests > 0, leave: make(chan struct{}), empty: make(chan struct{}), ended: make(chan struct{}),
		}
		if w.State != Ready {
			m.leaveLocked(w.State, w.Reason)
		}
		p.joinLocked(m)
		if m.state == Ready {
			p.rank.add(m)
		}
	}
}

// inherited are the workers that there are before Run.
func (p *Pool) inherited() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.members)
}

// keepInherited owns one worker that the image before has launched.
func (p *Pool) keepInherited(ctx context.Context, m *member) {
	p.attend(ctx, m, m.worker)
	if ctx.Err() != nil {
		p.Stop() // as in keep
	}
	p.gone(m, m.worker)
}
