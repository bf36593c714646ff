package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// does returns what a worker of a crew answers to a URI; nil makes the worker die.
type does func(w *crewWorker, uri string) *wire.Answer

// crew is a Backend and a FastBackend, whose workers are goroutines behind socketpairs
// and do one request at a time. A line is a request, which begins with a plus if it was
// a follower; a line of JSON an answer.
type crew struct {
	tb        testing.TB
	does      does
	hire      hires
	followers int                 // requests that a busy worker takes after the one that it has
	sees      func(*wire.Head)    // what the loop sends; may be nil
	gets      func(*http.Request) // what is sent otherwise; may be nil
	work      sync.WaitGroup
	awaited   atomic.Int32 // answers that a goroutine waited for
	rested    atomic.Int32 // and of which it waited for the rest

	mu sync.Mutex
	// mu protects all below
	refuse  error // what Enqueue and Claim return; nil: they do not fail
	hired   int
	free    []*crewWorker
	queue   []*crewTicket
	claims  []*crewClaim
	claimed int // by Claim and Retry, not by Enqueue
}

// crewWorker is both ends of the connection to one worker.
type crewWorker struct {
	id     string
	conn   *wire.Conn   // ours
	far    *os.File     // the worker's
	python *python      // instead of both; nil: it is a fake
	tokens atomic.Int32 // of followers
	back   atomic.Int32 // of followers that were recalled, and which it has yet to skip
	line   []*crewClaim // its requests, the head first; crew.mu protects it
	got    []byte       // what was read of the next answer; used by the loop, or by the goroutine that waits
}

// close closes our end.
func (w *crewWorker) close() {
	if w.python != nil {
		w.python.Close()
		return
	}
	w.conn.Close()
}

// takeToken takes a token, and reports whether there was one.
func (w *crewWorker) takeToken() bool {
	for n := w.tokens.Load(); n > 0; n = w.tokens.Load() {
		if w.tokens.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

func newCrew(tb testing.TB, workers int, d does) *crew {
	return newCrewOf(tb, (*crew).hireFake, workers, d)
}

func newCrewOf(tb testing.TB, hire hires, workers int, d does) *crew {
	c := &crew{tb: tb, does: d, hire: hire}
	for range workers {
		c.free = append(c.free, hire(c))
	}
	return c
}

func (c *crew) hireFake() *crewWorker {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.tb.Error(err)
		return nil
	}
	c.hired++
	w := &crewWorker{id: fmt.Sprintf("site/%d", c.hired), conn: wire.NewConn(fds[0]), far: os.NewFile(uintptr(fds[1]), "worker")}
	c.work.Go(func() {
		defer w.far.Close()
		for r := bufio.NewReader(w.far); ; {
			uri, err := r.ReadString('\n')
			if err != nil {
				return
			}
			uri, follower := strings.CutPrefix(uri, "+")
			if follower && !w.takeToken() {
				w.back.Add(-1)
				continue
			}
			a := c.does(w, strings.TrimSuffix(uri, "\n"))
			if a == nil {
				return
			}
			line, _ := json.Marshal(a)
			_, _ = w.far.Write(append(line, '\n')) // it may be given up
		}
	})
	return w
}

// close ends the workers, which must all be free, and checks how claims ended.
func (c *crew) close() {
	c.tb.Helper()
	c.mu.Lock()
	for _, claim := range c.claims {
		if !slices.Contains([]string{"release", "failed", "abandon release", "return"}, claim.ends) {
			c.tb.Errorf("claim of %s for %s ended as %q", claim.w.id, claim.what, claim.ends)
		}
	}
	if len(c.queue) > 0 {
		c.tb.Errorf("%d requests are left in the queue", len(c.queue))
	}
	for _, w := range c.free {
		w.close()
	}
	c.mu.Unlock()
	c.work.Wait()
}

// counts returns how many claims were made by Enqueue and got a worker, how many were
// made by Claim, and how they all ended.
func (c *crew) counts() (asked, claimed int, ends string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []string{}
	for _, claim := range c.claims {
		all = append(all, claim.ends)
	}
	return len(c.claims) - c.claimed, c.claimed, strings.Join(all, ", ")
}

// grow adds a worker.
func (c *crew) grow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, c.hire(c))
	c.dispatchLocked()
}

func (c *crew) dispatchLocked() {
	for len(c.free) > 0 && len(c.queue) > 0 {
		p := c.queue[0]
		c.queue = c.queue[1:]
		p.takeLocked(c.free[0])
		c.free = c.free[1:]
		p.notifyLocked()
	}
}

func (c *crew) queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// stop refuses all requests that wait, and those that come from now on.
func (c *crew) stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
	for _, p := range c.queue {
		p.err = err
		close(p.resolved)
		p.notifyLocked()
	}
	c.queue = nil
}

func (c *crew) Enqueue(what string, notify func()) (site.Ticket, error) {
	p, err := c.ask(what, notify)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *crew) ask(what string, notify func()) (*crewTicket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return nil, c.refuse
	}
	p := &crewTicket{crew: c, what: what, notify: notify, resolved: make(chan struct{})}
	p.placeLocked()
	return p, nil
}

func (p *crewTicket) placeLocked() {
	c := p.crew
	switch w := c.busyLocked(p); {
	case len(c.free) > 0:
		w, c.free = c.free[0], c.free[1:]
		p.takeLocked(w)
	case w != nil:
		p.takeLocked(w)
	case p.again:
		c.queue = slices.Insert(c.queue, 0, p)
	default:
		c.queue = append(c.queue, p)
	}
}

// busyLocked returns a worker that takes one more follower, or nil.
func (c *crew) busyLocked(p *crewTicket) *crewWorker {
	if p.again || p.notify == nil || len(c.queue) > 0 {
		return nil
	}
	for _, claim := range c.claims {
		if w := claim.w; w != nil && len(w.line) > 0 && len(w.line) <= c.followers && !w.line[0].waited {
			return w
		}
	}
	return nil
}

func (c *crew) Claim(ctx context.Context, what string) (site.Claim, error) {
	a, err := c.ask(what, nil)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.claimed++
	c.mu.Unlock()
	return a.Wait(ctx)
}

// crewTicket is a place in the queue.
type crewTicket struct {
	crew     *crew
	what     string
	notify   func() // nil: somebody waits
	resolved chan struct{}
	claim    *crewClaim
	again    bool
	err      error
}

func (p *crewTicket) takeLocked(w *crewWorker) {
	p.claim = &crewClaim{crew: p.crew, what: p.what, w: w, waited: p.notify == nil}
	p.crew.claims = append(p.crew.claims, p.claim)
	w.line = append(w.line, p.claim)
	close(p.resolved)
}

func (p *crewTicket) notifyLocked() {
	if p.notify != nil {
		p.notify()
	}
}

func (p *crewTicket) WaitInstead() error {
	p.crew.mu.Lock()
	p.notify = nil
	behind := false
	if p.claim != nil {
		p.claim.waited = true
		behind = p.claim.w.line[0] != p.claim
	}
	p.crew.mu.Unlock()
	if behind {
		return p.Requeue()
	}
	return nil
}

func (p *crewTicket) Requeue() error {
	p.crew.mu.Lock()
	defer p.crew.mu.Unlock()
	p.claim.removeLocked()
	p.claim.ends = "return"
	p.claim, p.again, p.resolved = nil, true, make(chan struct{})
	if p.crew.refuse != nil {
		return p.crew.refuse
	}
	p.placeLocked()
	return nil
}

func (p *crewTicket) Resolved() bool {
	select {
	case <-p.resolved:
		return true
	default:
		return false
	}
}

func (p *crewTicket) Wait(ctx context.Context) (site.Direct, error) {
	select {
	case <-p.resolved:
	case <-ctx.Done():
		p.crew.mu.Lock()
		defer p.crew.mu.Unlock()
		if i := slices.Index(p.crew.queue, p); i >= 0 {
			p.crew.queue = slices.Delete(p.crew.queue, i, i+1)
			return nil, ctx.Err()
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.claim, nil
}
