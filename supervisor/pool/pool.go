// Package pool keeps the workers of one site: how many there are, which of them
// takes a request, which requests wait for one, and what replaces a worker that exited.
// It starts no process itself and knows no protocol: a Launcher and its Workers do.
//
// # The critical section
//
// One mutex guards a pool. A request gets a worker, gets a place in the queue or is
// refused in one critical section, so it cannot fall between these. Methods whose name
// ends in Locked are called with that mutex held. Nothing blocks while it is held: a
// launch, Options.Observe and every method of a Worker that takes time run without it.
//
// One goroutine, Run, compares what is with what should be and starts or drains workers.
// One goroutine per worker supervises it from its launch to its end. Each change wakes Run
// and all that wait for a change; only a suspect worker is asked repeatedly.
//
// # The states of a worker
//
//	Starting → Ready      the launch has succeeded
//	Starting → (removed)  the launch has failed; see backoff for when the next one is
//	Starting → Draining   the worker is not needed any more: the launch is cancelled
//	Ready → Draining      it is replaced or not needed any more: it finishes its requests
//	Ready → Stuck         a request overran its time, or the worker does not answer
//	Draining → Stuck      likewise, while it finished its requests
//
// A worker has at most as many requests as threads, and as many followers as line.go
// allows. It gets none once it is Draining or Stuck, nor while a failed request makes it
// suspect (fail.go). It exits in any state; it keeps its place until Observe has returned.
//
// # The states of a Claim
//
//	waiting    it has a place in the queue
//	resolved   it has a worker, or an error why it gets none
//	follower   it has a worker, which runs another request first (line.go)
//	ended      it was released, or failed; a failed one may be retried as a new Claim
package pool

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Worker is a worker process, as a pool needs it.
type Worker interface {
	PID() int
	Done() <-chan struct{}    // is closed when the process has exited
	OOM() bool                // reports, after Done, whether it exited for lack of memory
	Crashed() bool            // reports, after Done, whether it exited by itself rather than because it was told to
	DumpStack()               // asks the process to log its stack
	Stop(grace time.Duration) // asks it to exit, kills it after grace, and returns when it has exited
	Kill()                    // kills it and does not wait

	// Probe returns nil when the worker has answered that it takes requests.
	Probe(ctx context.Context) error
}

// Launcher starts workers of one generation of a site.
type Launcher interface {
	// Launch starts a worker and returns it when it answers requests. When ctx is
	// cancelled it leaves no process behind. Its error is a StartupTimeoutError if the
	// launch took too long, and an ExitError if a process may have been started.
	Launch(ctx context.Context, id string) (Worker, error)
	// Threads returns how many requests each of its workers takes at once, which never
	// changes; 0 stands for Settings.Threads.
	Threads() int
}

// ExitError is the error of a launch that may have started a process.
type ExitError interface {
	error
	// Exited reports whether there was a process, which has exited, and whether it
	// exited for lack of memory.
	Exited() (exited, oom bool)
}

// Settings are the numbers that may change while a pool runs.
type Settings struct {
	Min, Max          int           // number of workers; equal for a fixed number
	Threads           int           // requests that a worker takes at once, unless its Launcher says it
	Backlog           int           // requests that may wait
	QueueTimeout      time.Duration // how long a request may wait
	GracefulTimeout   time.Duration // how long requests may take to end on a worker that drains
	ShutdownTimeout   time.Duration // from SIGTERM to SIGKILL
	InactivityTimeout time.Duration // idle time after which a worker above Min exits; 0: never
	MaximumRequests   int           // after so many requests a worker is replaced; 0: never
	RestartInterval   time.Duration // after so long a worker is replaced; 0: never
}

// Options are what a Pool is made of.
type Options struct {
	Site     string
	Settings Settings
	Launcher Launcher
	Observe  func(Event) // is called at each start and exit of a worker; may be nil

	// Crowded reports whether every processor has work and there are fewer processors
	// than so many workers. A nil Crowded never does.
	Crowded func(workers int, now time.Time) bool

	Inherited *Handover // left by the image before this one; may be nil
}

// Pool is the workers of one site.
type Pool struct {
	// Set by New.
	site    string
	observe func(Event)
	crowded func(workers int, now time.Time) bool // may be nil
	wake    chan struct{}                         // makes Run reconcile once more; holds at most one value
	rolling chan struct{}                         // holds a value while a Roll runs, so that only one does

	goroutines sync.WaitGroup // all that this pool has started; Run waits for them

	mu sync.Mutex // protects all below, and what Claim and member say it protects

	// The desired state.
	settings   Settings
	desired    int // workers of the current generation: between Settings.Min and Max, 0 once stopped
	stopped    bool
	stopReason Reason      // why workers exit once the pool is stopped
	paused     bool        // nothing is launched
	held       bool        // no request gets a worker
	refusing   bool        // no request may wait
	current    *generation // new workers are launched from it
	next       *generation // is under trial by Roll; nil: none is

	// The present state. Each member is in members and recent until it is removed; it is
	// in rank while it takes requests.
	members   []*member // in the order of their slots
	rank      rank
	recent    list.List     // members, in the order in which they last began a request
	tally     tally         // counts of members as of the last change
	busy      int           // members that have a request
	followers int           // requests that are followers, over all members
	mean      time.Duration // moving average of request times on workers with one thread; 0: no request yet
	queue     queue         // claims that wait
	backoff   backoff       // when the next worker may be launched
	deadly    deadly        // requests that workers died of
	totals    totals

	// Signals.
	changed chan struct{}   // is closed and replaced at every change
	idle    chan struct{}   // is closed when no request runs or waits; nil unless AwaitIdle waits for that
	quiet   chan struct{}   // is closed when no worker has a request; nil unless AwaitNoneRuns waits
	awaited []*awaitedGroup // see AwaitLongRequests
}

// generation is what the workers of a site that are launched alike have in common.
type generation struct {
	number   int
	launcher Launcher // nil if the image before has launched the workers, and a later generation is current
	threads  int      // as Launcher.Threads said
	reason   Reason   // why workers of the generation before exit
	failed   error    // why its trial failed; Pool.mu protects it
}

func newGeneration(number int, l Launcher, reason Reason) *generation {
	return &generation{number: number, launcher: l, threads: l.Threads(), reason: reason}
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

		settings:   o.Settings,
		desired:    o.Settings.Min,
		stopReason: ReasonStop,
		current:    newGeneration(1, o.Launcher, ""),
		deadly:     newDeadly(),
		changed:    make(chan struct{}),
	}
	p.rank.settings = &p.settings
	if o.Inherited != nil {
		p.inherit(o.Inherited)
	}
	return p
}

// Run starts workers and keeps up their number. It returns when Stop was called and the
// last worker has exited. When ctx is cancelled the workers are killed.
func (p *Pool) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	cancelled := ctx.Done()
	for _, m := range p.inherited() {
		p.goroutines.Go(func() { p.superviseInherited(ctx, m) })
	}
	for {
		starts, wait, finished := p.reconcile(time.Now())
		if finished {
			break
		}
		for _, m := range starts {
			p.goroutines.Go(func() { p.supervise(ctx, m) })
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
	p.goroutines.Wait()
}

// SetStopReason sets why workers exit once Stop is called, in place of ReasonStop.
func (p *Pool) SetStopReason(reason Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopReason = reason
}

// Stop refuses new requests and drains every worker. Run returns when they have exited.
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
		m.retireLocked(Draining, p.stopReason)
	}
	p.changedLocked()
}

// changedLocked wakes Run and everybody who waits for a change.
func (p *Pool) changedLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.tallyLocked()
	p.wakeLocked()
}

// wakeLocked wakes only Run.
func (p *Pool) wakeLocked() {
	select {
	case p.wake <- struct{}{}:
	default: // Run has not yet taken the last wake-up: it will reconcile anyway
	}
}
