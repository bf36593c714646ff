// Package pool keeps the workers of one site: how many there are, which of them
// takes a request, who waits for one, and what replaces one that ended.
//
// One mutex guards a pool. A request is given to a worker, put into the queue or
// refused in one critical section, so none falls between. One loop, Run, compares
// what is with what should be and starts or drains workers; one goroutine per
// worker owns it from launch to its end. A worker never gets more requests at
// once than it has threads, and none once it drains.
//
// The pool starts no process itself and knows no protocol: a Launcher does.
package pool

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"sync"
	"time"
)

// Worker is a worker process, as a pool needs it.
type Worker interface {
	PID() int
	Done() <-chan struct{}    // closed when it has ended
	OOM() bool                // tells, when it has, whether for want of memory
	Crashed() bool            // tells, when it has, whether of itself and not since it was to stop
	DumpStack()               // asks for its stack in the log
	Stop(grace time.Duration) // ends it, with force after grace; returns when it has ended
	Kill()                    // ends it at once

	// Probe returns nil when the worker has answered that it takes requests.
	Probe(ctx context.Context) error
}

// Launcher starts workers of one generation of a site.
type Launcher interface {
	// Launch starts a worker and returns it when it answers requests. When ctx
	// is cancelled it leaves nothing behind. One that took too long is an
	// ErrStartupTimeout. An error that is an Ended tells of a process.
	Launch(ctx context.Context, id string) (Worker, error)
	// Threads is how many requests each of its workers takes at once, for good; 0:
	// as many as Settings say.
	Threads() int
}

// ExitError is the error of a launch that may have come as far as a process.
type ExitError interface {
	error
	Exited() (exited, oom bool) // whether there was one, and whether it ended for want of memory
}

// Settings are the numbers that may change while a pool runs.
type Settings struct {
	Min, Max          int // workers; equal: a fixed count
	Threads           int // requests that a worker takes at once, if its Launcher does not know
	Backlog           int // requests that may wait
	QueueTimeout      time.Duration
	GracefulTimeout   time.Duration // for requests in flight when a worker drains
	ShutdownTimeout   time.Duration // from SIGTERM to SIGKILL
	InactivityTimeout time.Duration // after which a worker above Min ends; 0: never
	MaximumRequests   int           // after which a worker is replaced; 0: never
	RestartInterval   time.Duration // after which a worker is replaced; 0: never
}

// Options are what a Pool is made of.
type Options struct {
	Site     string
	Settings Settings
	Launcher Launcher
	Observe  func(Event) // told of every start and end; may be nil

	// Crowded tells whether every processor has work, and there are fewer of them than
	// so many workers; nil: never.
	Crowded func(workers int, now time.Time) bool

	Inherited *Handover // that the image before this one has left; may be nil
}

// Pool is the workers of one site.
type Pool struct {
	site    string
	observe func(Event)
	wake    chan struct{} // tells Run to look again
	rolling chan struct{} // holds one value while a Roll runs: one at a time
	keepers sync.WaitGroup

	crowded func(workers int, now time.Time) bool

	mu sync.Mutex
	// mu protects all below
	set     Settings
	desired int // within Min and Max
	stopped bool
	why     Reason    // for which workers end when it is stopped
	paused  bool      // nothing is launched
	members []*member // launched or to be launched, not yet gone
	queue   queue
	current *release // what new workers are launched from
	next    *release // under trial by Roll; nil otherwise
	trouble trouble
	deadly  deadly
	rank    rank
	begun   list.List     // members, in the order in which they began their last request
	busy    int           // workers that have a request
	tally   tally         // of the members, as of the last change
	behind  int           // requests that wait behind others in workers' sockets
	mean    time.Duration // that the last requests took, roughly, in workers with one thread; 0: none did
	changed chan struct{} // closed and replaced on every change
	totals  totals
	idle    chan struct{}   // closed when no request runs or waits; nil unless somebody awaits that
	awaited []*awaitedGroup // requests whose end somebody awaits; nil nearly always
}

// release is one generation of a site: all workers launched the same way.
type release struct {
	generation int
	launcher   Launcher
	threads    int    // see Launcher
	reason     Reason // why workers of the release before it end
	failed     error  // why its trial failed
}

func newRelease(generation int, l Launcher, reason Reason) *release {
	return &release{generation: generation, launcher: l, threads: l.Threads(), reason: reason}
}

// New returns a Pool. Nothing starts before Run.
func New(o Options) *Pool {
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	p := &Pool{
		site:    o.Site,
		observe: o.Observe,

		crowded: o.Crowded,

		wake:    make(chan struct{}, 1),
		rolling: make(chan struct{}, 1),
		set:     o.Settings,
		desired: o.Settings.Min,
		why:     ReasonStop,
		current: newRelease(1, o.Launcher, ""),
		changed: make(chan struct{}),
		deadly:  newDeadly(),
	}
	p.rank.set = &p.set
	if o.Inherited != nil {
		p.inherit(o.Inherited)
	}
	return p
}

// Run starts workers and keeps their number until Stop was called and the last
// has ended. When ctx is cancelled the workers are killed.
func (p *Pool) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	cancelled := ctx.Done()
	for _, m := range p.inherited() {
		p.keepers.Go(func() { p.keepInherited(ctx, m) })
	}
	for {
		starts, wait, finished := p.reconcile(time.Now())
		if finished {
			break
		}
		for _, m := range starts {
			p.keepers.Go(func() { p.keep(ctx, m) })
		}
		timer.Reset(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-cancelled:
			cancelled = nil
			p.Stop()
		}
	}
	p.keepers.Wait()
}

// SetStopReason says why workers will end once Stop is called; else it is the supervisor's stop.
func (p *Pool) SetStopReason(reason Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = reason
}

// Stop refuses new requests and drains every worker. Run returns when they have ended.
func (p *Pool) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.stopped = true
	p.desired = 0
	p.next = nil
	p.refuseWaitingLocked(ErrStopped)
	for _, m := range p.members {
		m.leaveLocked(Draining, p.why)
	}
	p.changedLocked()
}

// Scale sets a fixed number of workers and returns when it is reached. Where it can not
// be, the site has what it had.
func (p *Pool) Scale(ctx context.Context, n int) error {
	p.mu.Lock()
	before, desired := p.set, p.desired
	s := p.set
	s.Min, s.Max = n, n
	p.applyLocked(s)
	p.mu.Unlock()
	err := p.AwaitTarget(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.set.Min != n || p.set.Max != n:
		return cmp.Or(err, ErrScaledAgain)
	case err != nil && !p.stopped && p.readyLocked() < n:
		s = p.set
		s.Min, s.Max = before.Min, before.Max
		p.desired, p.trouble = desired, trouble{} // what failed is not wanted any more
		p.applyLocked(s)
		p.drainSurplusLocked() // now, so that what fails from here on is nobody's failure
	}
	return err
}

// readyLocked is how many workers are what they should be.
func (p *Pool) readyLocked() (n int) {
	for _, m := range p.members {
		if m.state == Ready && !p.outdatedLocked(m) {
			n++
		}
	}
	return n
}

// Apply changes the settings. No worker restarts.
func (p *Pool) Apply(s Settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.applyLocked(s)
}

func (p *Pool) applyLocked(s Settings) {
	p.set = s
	heap.Init(&p.rank)
	if !p.stopped {
		p.desired = min(max(p.desired, s.Min), s.Max)
	}
	p.dispatchLocked()
	p.changedLocked()
}

// changedLocked wakes Run and everybody who waits for a change.
func (p *Pool) changedLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.tallyLocked()
	p.lookLocked()
}

// lookLocked wakes Run alone.
func (p *Pool) lookLocked() {
	select {
	case p.wake <- struct{}{}:
	default: // Run will look anyway
	}
}
