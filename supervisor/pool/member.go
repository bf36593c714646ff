package pool

import (
	"cmp"
	"container/list"
	"time"
)

// State is what a worker is doing.
type State int

// The states of a worker. A ready one with requests is shown as busy.
const (
	Starting State = iota
	Ready
	Draining // finishes what it has, gets nothing new
	Stuck    // has a request that overran its time; ends
)

// String returns the name that status shows.
func (s State) String() string {
	return [...]string{"starting", "ready", "draining", "stuck"}[s]
}

// Reason is why a worker ended.
type Reason string

// The reasons for which a worker ends. There is no other.
const (
	ReasonScale           Reason = "scale"
	ReasonReload          Reason = "reload"
	ReasonRestart         Reason = "restart"
	ReasonMaximumRequests Reason = "maximum_requests"
	ReasonRestartInterval Reason = "restart_interval"
	ReasonInactivity      Reason = "inactivity"
	ReasonMemoryLimit     Reason = "memory_limit"
	ReasonOOM             Reason = "oom" // the system had or gave it no more memory
	ReasonRequestTimeout  Reason = "request_timeout"
	ReasonStartupTimeout  Reason = "startup_timeout"
	ReasonCPUTimeLimit    Reason = "cpu_time_limit"
	ReasonUnreachable     Reason = "unreachable" // it neither ended nor answered any more
	ReasonCrash           Reason = "crash"       // by itself, or by a signal of somebody else
	ReasonStop            Reason = "supervisor stop"
)

// member is one place in the pool: a worker from before its launch to its end.
type member struct {
	id      string
	slot    int
	release *release
	threads int // requests that it takes at once; 0: as the settings say
	started time.Time
	chance  float64       // from 0 to 1: its share of what spreads the ends of workers
	leave   chan struct{} // closed when it shall end
	empty   chan struct{} // closed when it shall end and has no request left
	ended   chan struct{} // closed, under the mutex, when its end is recorded

	// the pool's mutex protects all below
	state    State
	reason   Reason        // valid once leave is closed
	worker   Worker        // nil while starting
	unlined  chan struct{} // closed when no request is behind another, once somebody waits for that
	ran      int           // requests that it was at when it ended
	doubts   int           // broken requests of which it is not known yet whether it ended of them
	answered bool          // it has answered a request as it should
	ready    time.Time
	over     Reason          // a limit that it was seen to exceed; "": none
	spent    Reason          // why a successor is started; "": it stays
	used     time.Time       // end of its last request
	idle     time.Time       // since when it has nothing to do, if it had no request yet
	began    time.Time       // when it began the request that it has, where it has but one thread
	claims   []*Claim        // in the order in which they came
	requests int64           // finished
	place    int             // in the rank, from 1; 0: it is not there
	turn     *list.Element   // in the pool's order of beginning
	broken   []brokenRequest // the last requests that it did not answer as it should
}

// brokenRequest is a request that a worker did not answer as it should.
type brokenRequest struct {
	what string
	at   time.Time
}

// live tells whether it counts as one of the workers that should be.
func (m *member) live() bool { return m.state == Starting || m.state == Ready }

// full tells whether it has as many requests as threads.
func (m *member) full(s *Settings) bool { return len(m.claims) >= cmp.Or(m.threads, s.Threads) }

// open tells whether it takes requests.
func (m *member) open() bool {
	if m.state != Ready || m.doubts > 0 {
		return false
	}
	select {
	case <-m.worker.Done(): // dead, but its keeper has not been told yet
		return false
	default:
		return true
	}
}

// leaveLocked makes the member end: at once when it has no request, else when
// the last one is answered.
func (m *member) leaveLocked(state State, reason Reason) {
	if !m.live() {
		return
	}
	m.state, m.reason = state, reason
	close(m.leave)
	m.emptyLocked()
}

func (m *member) emptyLocked() {
	for _, c := range m.claims {
		if !c.abandoned {
			return
		}
	}
	select {
	case <-m.empty:
	default:
		close(m.empty)
	}
}

// idleSince is since when it has had nothing to do.
func (m *member) idleSince() time.Time {
	if m.used.IsZero() {
		return m.idle
	}
	return m.used
}

// hasEnded tells whether its end is recorded.
func (m *member) hasEnded() bool {
	select {
	case <-m.ended:
		return true
	default:
		return false
	}
}
