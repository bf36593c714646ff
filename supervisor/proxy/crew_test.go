package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// does is what a worker of a crew answers to a URI. nil: it dies.
type does func(w *crewWorker, uri string) *wire.Answer

// crew is a Backend and an Asker, whose workers are goroutines behind socketpairs
// and have one request at a time. A line is a request; a line of JSON an answer.
type crew struct {
	tb   testing.TB
	does does
	work sync.WaitGroup

	mu sync.Mutex
	// mu protects all below
	refuse  error // what Ask says
	hired   int
	free    []*crewWorker
	queue   []*crewPlace
	claims  []*crewClaim
	claimed int // by Claim and Again, not by Ask
}

// crewWorker is both ends of the connection to one worker.
type crewWorker struct {
	id   string
	conn *wire.Conn // ours
	far  *os.File   // the worker's
}

func newCrew(tb testing.TB, workers int, d does) *crew {
	c := &crew{tb: tb, does: d}
	for range workers {
		c.free = append(c.free, c.hire())
	}
	return c
}

func (c *crew) hire() *crewWorker {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.tb.Error(err)
		return nil
	}
	c.hired++
	w := &crewWorker{fmt.Sprintf("site/%d", c.hired), wire.NewConn(fds[0]), os.NewFile(uintptr(fds[1]), "worker")}
	c.work.Go(func() {
		defer w.far.Close()
		for r := bufio.NewReader(w.far); ; {
			uri, err := r.ReadString('\n')
			if err != nil {
				return
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
		if !slices.Contains([]string{"release", "broken", "abandon release"}, claim.ends) {
			c.tb.Errorf("claim of %s for %s ended as %q", claim.w.id, claim.what, claim.ends)
		}
	}
	if len(c.queue) > 0 {
		c.tb.Errorf("%d requests are left in the queue", len(c.queue))
	}
	for _, w := range c.free {
		w.conn.Close()
	}
	c.mu.Unlock()
	c.work.Wait()
}

// counts returns how many claims were made by Ask and got a worker, how many by
// Claim, and how they all ended.
func (c *crew) counts() (asked, claimed int, ends string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []string{}
	for _, claim := range c.claims {
		all = append(all, claim.ends)
	}
	return len(c.claims) - c.claimed, c.claimed, strings.Join(all, ", ")
}

func (c *crew) queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// stop refuses all who wait, and who ask from now on.
func (c *crew) stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
	for _, p := range c.queue {
		p.err = err
		close(p.settled)
		p.told()
	}
	c.queue = nil
}

func (c *crew) Ask(what string, told func()) (Asked, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return nil, c.refuse
	}
	p := &crewPlace{crew: c, what: what, told: told, settled: make(chan struct{})}
	if len(c.free) == 0 {
		c.queue = append(c.queue, p)
		return p, nil
	}
	p.takeLocked()
	return p, nil
}

func (c *crew) Claim(ctx context.Context, what string) (Claim, error) {
	a, err := c.Ask(what, func() {})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.claimed++
	c.mu.Unlock()
	return a.Wait(ctx)
}

func (c *crew) Again(ctx context.Context, what string) (Claim, error) { return c.Claim(ctx, what) }

// crewPlace is a place in the queue.
type crewPlace struct {
	crew    *crew
	what    string
	told    func()
	settled chan struct{}
	claim   *crewClaim
	err     error
}

func (p *crewPlace) takeLocked() {
	c := p.crew
	p.claim = &crewClaim{crew: c, what: p.what, w: c.free[0]}
	c.free, c.claims = c.free[1:], append(c.claims, p.claim)
	close(p.settled)
}

func (p *crewPlace) Settled() bool {
	select {
	case <-p.settled:
		return true
	default:
		return false
	}
}

func (p *crewPlace) Wait(ctx context.Context) (Direct, error) {
	select {
	case <-p.settled:
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

// crewClaim is a Direct that notes how it ends.
type crewClaim struct {
	crew *crew
	what string
	w    *crewWorker
	sent bool
	got  []byte
	ends string // crew.mu protects it
}

func (c *crewClaim) Worker() string { return c.w.id }

func (c *crewClaim) end(how string, next func() *crewWorker) {
	c.crew.mu.Lock()
	defer c.crew.mu.Unlock()
	c.ends = strings.TrimPrefix(c.ends+" "+how, " ")
	if next == nil {
		return
	}
	c.crew.free = append(c.crew.free, next())
	if len(c.crew.queue) > 0 {
		p := c.crew.queue[0]
		c.crew.queue = c.crew.queue[1:]
		p.takeLocked()
		p.told()
	}
}

func (c *crewClaim) Abandon() { c.end("abandon", nil) }
func (c *crewClaim) Release() { c.end("release", func() *crewWorker { return c.w }) }
func (c *crewClaim) Broken() {
	c.w.conn.Close()
	c.end("broken", c.crew.hire)
}

func (c *crewClaim) Send(h *wire.Head, w wire.Watcher) int {
	if _, err := c.w.conn.Send([]byte(h.URI+"\n"), w); err != nil {
		return -1
	}
	c.sent = true
	return c.w.conn.FD()
}

func (c *crewClaim) Receive(buf []byte) (*wire.Answer, error) {
	have := copy(buf, c.got)
	n, again, _ := c.w.conn.Read(buf[have:])
	if again {
		return nil, nil
	}
	c.got = bytes.Clone(buf[:have+n])
	if n == 0 || have+n == len(buf) {
		return nil, wire.ErrNotWhole
	}
	if !bytes.HasSuffix(c.got, []byte("\n")) {
		return nil, nil
	}
	a, err := parseLine(c.got)
	if err == nil && !a.Plain(strings.HasPrefix(c.what, "HEAD")) {
		return nil, wire.ErrNotWhole
	}
	return a, err
}

func parseLine(line []byte) (*wire.Answer, error) {
	var a wire.Answer
	return &a, json.Unmarshal(line, &a)
}

// RoundTrip waits for the answer, to what was sent or what it sends.
func (c *crewClaim) RoundTrip(r *http.Request) (*http.Response, error) {
	f, err := c.w.conn.Wait()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !c.sent {
		if _, err := f.WriteString(r.RequestURI + "\n"); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		c.sent = true
	}
	deadline, _ := r.Context().Deadline()
	_ = f.SetReadDeadline(deadline)
	line, err := bufio.NewReader(io.MultiReader(bytes.NewReader(c.got), f)).ReadBytes('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, context.DeadlineExceeded
	case err != nil:
		return nil, io.ErrUnexpectedEOF
	}
	a, err := parseLine(line)
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: a.Status, Header: http.Header{}, Body: inMemory{strings.NewReader(string(a.Body))}, ContentLength: -1}
	for _, f := range a.Fields {
		resp.Header.Add(f[0], f[1])
	}
	return resp, nil
}

// echo answers with the URI.
func echo(_ *crewWorker, uri string) *wire.Answer {
	return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Type", "text/plain"}}, Body: []byte(uri)}
}
