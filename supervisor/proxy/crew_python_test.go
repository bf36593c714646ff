package proxy

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/fastcgi"
	"github.com/multisite/multisite/worker/fastcgi/fastcgitest"
	"github.com/multisite/multisite/worker/wire"
)

// eachWorker runs a test with the workers of a crew and with those that sites have: the
// Python worker and its client. A test of the Loop must hold for both.
func eachWorker(t *testing.T, test func(t *testing.T, hire hires)) {
	t.Run("fake", func(t *testing.T) { t.Parallel(); test(t, (*crew).hireFake) })
	t.Run("connection.py", func(t *testing.T) { t.Parallel(); test(t, (*crew).hirePython) })
}

// hires adds a worker to a crew.
type hires func(*crew) *crewWorker

// python is a Python worker, or one that speaks its protocol, with its client.
type python struct {
	*fastcgi.Client
	kill func()
}

func (c *crew) hirePython() *crewWorker {
	c.hired++
	w := &crewWorker{id: fmt.Sprintf("site/%d", c.hired)}
	started := fastcgitest.Start(c.tb, func(uri string) *wire.Answer { return c.does(w, uri) })
	w.python = &python{fastcgi.NewClient(fastcgi.Options{Socket: started.Socket, Packed: true}), started.Kill}
	if err := w.python.Probe(c.tb.Context()); err != nil {
		c.tb.Error(err)
	}
	return w
}

// send sends as a site's claim does.
func (p *python) send(behind bool, h *wire.Head, w wire.Watcher) *fastcgi.Sent {
	if behind {
		return p.SendFollower(h, w)
	}
	return p.Send(h, w)
}

// roundTrip waits for the answer to what was sent, or sends r; see crewClaim.RoundTrip.
func (p *python) roundTrip(sent *fastcgi.Sent, r *http.Request) (resp *http.Response, err error) {
	if sent != nil {
		resp, err = sent.Await(r)
	} else {
		resp, err = p.RoundTrip(r)
	}
	return resp, err
}

// fail kills the worker and closes what was sent to it.
func (p *python) fail(sent *fastcgi.Sent) {
	p.kill()
	if sent != nil {
		_ = sent.Close(time.Now()) // the claim has failed; nobody needs the answer
	}
	p.Close()
}
