package pool

import (
	"cmp"
	"container/list"
	"time"
)

// State is what a worker is doing.
type State int

// The states of a worker. A ready one that has requests is shown as busy.
const (
	Starting State = iota
	Ready
	Draining // it finishes its requests and gets no new ones
	Stuck    // a request overran its time, or it does not answer; it is to exit
)

// String returns the name that status shows.
func (s State) String() string {
	return [...]string{"starting", "ready", "draining", "stuck"}[s]
}

// Reason is why a worker exited.
type Reason string

// The reasons for which a worker exits.
const (
	ReasonScale           Reason = "scale"
	ReasonReload          Reason = "reload"
	ReasonRestart         Reason = "restart"
	ReasonWarmup          Reason = "warm-up" // new ones share more of what visitors ask for
	ReasonMaximumRequests Reason = "maximum_requests"
	ReasonRestartInterval Reason = "restart_interval"
	ReasonInactivity      Reason = "inactivity"
	ReasonIdle            Reason = "idle" // a fresh fork holds much less memory
	ReasonMemoryLimit     Reason = "memory_limit"
	ReasonOOM             Reason = "oom" // the system killed it for lack of memory, or refused it more
	ReasonRequestTimeout  Reason = "request_timeout"
	ReasonStartupTimeout  Reason = "startup_timeout"
	ReasonCPUTimeLimit    Reason = "cpu_time_limit"
	ReasonUnreachable     Reason = "unreachable" // it neither exited nor answered any more
	ReasonCrash           Reason = "crash"       // it exited by itself, or by a signal that was not ours
	ReasonStop            Reason = "supervisor stop"
)

// member is one worker's place in the pool, from before its launch until after its exit.
type member struct {
	// Set when the member is made.
	id         string // "subdomain1/1"
	slot       int    // the number in id, unique among the members of its generation
	generation *generation
	threads    int       // requests that it takes at once; 0: Settings.Threads
	started    time.Time // when its launch began
	chance     float64   // from 0 to 1: spreads the ends of workers that started together

	// Closed once, by the holder of Pool.mu.
	retired chan struct{} // the worker is to exit: state is Draining or Stuck
	drained chan struct{} // it is to exit and has no request left that is worth waiting for
	exited  chan struct{} // its exit is recorded

	// Pool.mu protects all below.
	state    State
	reason   Reason    // why it is to exit; valid once retired is closed
	told     time.Time // when it became Draining or Stuck
	worker   Worker    // nil while the launch runs
	ready    time.Time // when the launch had succeeded
	exceeded Reason    // a limit that the supervisor saw it exceed; "": none
	due      Reason    // why it is being recycled: a successor starts, then it drains; "": it is not

	holds    map[*hold]bool // see Claim.Hold; never false
	claims   []*Claim       // its requests in the order in which they came; of one thread, all but the first are followers
	requests int64          // how many have ended on it
	used     time.Time      // when the last one ended
	idle     time.Time      // since when it has been idle, if no request has ended on it
	began    time.Time      // when its present request began, if it has one thread
	answered bool           // it has answered a request as it should
	place    int            // its index in the rank plus 1; 0: it is not there
	recent   *list.Element  // its place in Pool.recent

	probes   int             // failed requests after which it is being probed; it takes none meanwhile
	failed   []failedRequest // the last requests that it did not answer as it should
	recalled chan struct{}   // is closed when it has no followers; nil unless awaitRecall waits for that
	ran      int             // how many requests it was running when it exited
}

// failedRequest is a request that a worker did not answer as it should.
type failedRequest struct {
	what string
	at   time.Time
}

func newMember(id string, slot int, g *generation, started time.Time, chance float64) *member {
	return &member{
		id:         id,
		slot:       slot,
		generation: g,
		threads:    g.threads,
		started:    started,
		chance:     chance,
		retired:    make(chan struct{}),
		drained:    make(chan struct{}),
		exited:     make(chan struct{}),
	}
}

// live reports whether the worker counts towards the desired number.
func (m *member) live() bool { return m.state == Starting || m.state == Ready }

// full reports whether the worker has as many requests as threads.
func (m *member) full(s *Settings) bool { return len(m.claims) >= cmp.Or(m.threads, s.Threads) }

// open reports whether the worker takes requests.
func (m *member) open() bool {
	if m.state != Ready || m.probes > 0 {
		return false
	}
	select {
	case <-m.worker.Done(): // it has exited, which its goroutine has not recorded yet
		return false
	default:
		return true
	}
}

// retireLocked tells the worker to exit: at once if it has no request, otherwise when
// its requests have ended.
func (m *member) retireLocked(state State, reason Reason) {
	if !m.live() {
		return
	}
	m.state, m.reason, m.told = state, reason, time.Now()
	close(m.retired)
	m.checkDrainedLocked()
}

// checkDrainedLocked closes drained if only requests of stuck claims are left. It is
// called when the worker is to exit, and after each of its requests from then on.
func (m *member) checkDrainedLocked() {
	for _, c := range m.claims {
		if !c.stuck {
			return
		}
	}
	select {
	case <-m.drained:
	default:
		close(m.drained)
	}
}

// idleSince returns since when the worker has had nothing to do.
func (m *member) idleSince() time.Time {
	if m.used.IsZero() {
		return m.idle
	}
	return m.used
}

// unusedLocked reports whether nobody uses the worker.
func (m *member) unusedLocked() bool { return len(m.claims) == 0 && len(m.holds) == 0 }

// hasExited reports whether the exit of the worker is recorded.
func (m *member) hasExited() bool {
	select {
	case <-m.exited:
		return true
	default:
		return false
	}
}
