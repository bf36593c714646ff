package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// wantPage reads a page of our own.
func (p *peer) wantPage(status int) *http.Response {
	p.tb.Helper()
	resp, body := p.whole("GET")
	if resp.StatusCode != status || !strings.Contains(body, http.StatusText(status)) {
		p.tb.Fatalf("got %d %.200q, want %d", resp.StatusCode, body, status)
	}
	return resp
}

// TestLoop_DetachesWhatTakesLong: it is answered once, by the worker that has it.
func TestLoop_DetachesWhatTakesLong(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial(get("/slow"))
	<-began
	f.wantDetached()
	letGo <- nil
	p.wantBody("/slow")
	f.wantMine(p, true)
	if e := <-f.entries; e.Line != "GET /slow HTTP/1.1" || e.Took < fastloop.DetachAfter {
		t.Errorf("logged %q, %v", e.Line, e.Took)
	}
	if len(began) > 0 {
		t.Error("the worker was asked twice")
	}
}

// TestLoop_RequestTimeoutCountsFromSending: the time of a request counts from its
// sending, not from when net/http took over.
func TestLoop_RequestTimeoutCountsFromSending(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	defer close(letGo)
	f := startFront(t, newCrew(t, 1, d), Options{}, func(s *site.Site) { s.RequestTimeout = 2 * fastloop.DetachAfter })
	sent := time.Now()
	p := f.dial(get("/slow"))
	<-began
	p.wantPage(http.StatusGatewayTimeout)
	if took := time.Since(sent); took < 2*fastloop.DetachAfter {
		t.Errorf("answered after %v", took)
	}
	if _, _, ends := f.crew.counts(); ends != "abandon release" {
		t.Errorf("the claim ended as %q", ends)
	}
}

// TestPending_DeadlineCountsFromSending needs no clock.
func TestPending_DeadlineCountsFromSending(t *testing.T) {
	t.Parallel()
	c := newCrew(t, 1, echo)
	defer c.close()
	a, _ := c.Enqueue("GET /", nil)
	direct, _ := a.Wait(t.Context())
	defer direct.Release()
	sent := time.Now().Add(-time.Hour)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "/", nil)
	e := exchange{r: r, site: &site.Site{RequestTimeout: time.Minute}, pending: &fastloop.Pending{Ticket: a, Direct: direct, Sent: sent}}
	claim, since, err := e.claim()
	if claim != site.Claim(direct) || since != sent || err != nil {
		t.Fatalf("got %v since %v (%v), want what was sent", claim, since, err)
	}
	ctx, cancel := e.deadline(since)
	defer cancel()
	if got, _ := ctx.Deadline(); got != sent.Add(time.Minute) {
		t.Errorf("got %v, want %v", got, sent.Add(time.Minute))
	}
}

// TestLoop_Queue has three requests wait for one worker.
func TestLoop_Queue(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	first := f.dial(get("/slow"))
	<-began
	var peers []*peer
	for _, uri := range []string{"/1", "/2", "/3"} {
		before := f.crew.queued()
		peers = append(peers, f.dial(get(uri)))
		until(t, "queued", func() bool { return f.crew.queued() > before })
	}
	letGo <- nil
	first.wantBody("/slow")
	for i, uri := range []string{"/1", "/2", "/3"} {
		peers[i].wantBody(uri)
		f.wantMine(peers[i], true)
	}
}

// TestLoop_QueuedAndDetached waits on, and gets the worker where it is now.
func TestLoop_QueuedAndDetached(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	first := f.dial(get("/slow"))
	<-began
	second := f.dial(get("/second"))
	until(t, "queued", func() bool { return f.crew.queued() == 1 })
	until(t, "both detached", func() bool {
		n := 0
		f.loop.Inspect(func(v fastloop.View) { n = v.Clients() })
		return n == 0
	})
	letGo <- nil
	first.wantBody("/slow")
	second.wantBody("/second")
	f.wantMine(first, true)
	f.wantMine(second, true)
	if _, claimed, ends := f.crew.counts(); strings.Contains(ends, "failed") {
		t.Errorf("%d claimed; the claims ended as %q", claimed, ends)
	}
}

func TestLoop_Refused(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	first := f.dial(get("/slow"))
	<-began
	second := f.dial(get("/second"))
	until(t, "queued", func() bool { return f.crew.queued() == 1 })
	f.crew.stop(stopped)
	second.wantPage(http.StatusServiceUnavailable)
	third := f.dial(get("/third"))
	if resp := third.wantPage(http.StatusServiceUnavailable); resp.Header.Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
	third.send(get("/again"))
	third.wantPage(http.StatusServiceUnavailable)
	letGo <- nil
	first.wantBody("/slow")
	f.wantCounts(1, 0)
	if !strings.Contains(f.logs.String(), "error=stopped") {
		t.Errorf("not logged:\n%s", f.logs)
	}
}

// TestLoop_WorkerDies: a worker dies before and after it has sent a part of its answer.
func TestLoop_WorkerDies(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"before": "", "after a part": `{"Status":200,`} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+", "+name, func(t *testing.T) {
				t.Parallel()
				died := make(chan bool, 2)
				died <- true
				f := startFront(t, newCrew(t, 2, func(w *crewWorker, uri string) *wire.Answer {
					select {
					case <-died:
						_, _ = io.WriteString(w.far, part)
						return nil
					default:
						return &wire.Answer{Status: 200, Fields: [][2]string{{"X-URI", uri}}}
					}
				}), Options{})
				p := f.dial(method + " /a HTTP/1.1\r\nHost: site.test\r\n\r\n")
				if resp, _ := p.whole(method); resp.StatusCode != 200 || resp.Header.Get("X-URI") != "/a" {
					t.Fatalf("got %d %v", resp.StatusCode, resp.Header)
				}
				if asked, claimed, ends := f.crew.counts(); asked != 1 || claimed != 1 || ends != "failed, release" {
					t.Errorf("got %d asked, %d claimed, ended as %q", asked, claimed, ends)
				}
			})
		}
	}
}

// TestLoop_DeadConnection: the request did not reach the worker, which died idle.
func TestLoop_DeadConnection(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 2, echo), Options{})
	f.crew.mu.Lock()
	f.crew.free[0].far.Close()
	f.crew.mu.Unlock()
	p := f.dial(get("/a"))
	p.wantBody("/a")
	if asked, claimed, ends := f.crew.counts(); asked != 1 || claimed != 1 || ends != "failed, release" {
		t.Errorf("got %d asked, %d claimed, ended as %q", asked, claimed, ends)
	}
	f.wantMine(p, true)
}

// TestLoop_ClientDisconnects: clients disconnect in every state of their request. The
// end of the front checks that each claim ended once.
func TestLoop_ClientDisconnects(t *testing.T) {
	t.Parallel()
	for _, reset := range []bool{false, true} {
		t.Run(map[bool]string{false: "closes", true: "resets"}[reset], func(t *testing.T) {
			t.Parallel()
			d, began, letGo := gated()
			f := startFront(t, newCrew(t, 1, d), Options{})
			leave := func(p *peer) {
				if reset {
					_ = p.SetLinger(0)
				}
				p.Close()
			}
			idle, half := f.dial(get("/idle")), f.dial("GET /half HT")
			idle.wantBody("/idle")
			leave(idle)
			leave(half)
			working := f.dial(get("/slow1"))
			<-began
			queued := f.dial(get("/queued"))
			until(t, "queued", func() bool { return f.crew.queued() == 1 })
			leave(queued)
			leave(working)
			until(t, "out of the queue", func() bool { return f.crew.queued() == 0 }) // net/http saw it leave
			letGo <- nil
			until(t, "ended", func() bool { _, _, ends := f.crew.counts(); return ends == "release, release" })
			quick := f.dial(get("/slow2"))
			<-began
			leave(quick)
			letGo <- nil
			until(t, "ended", func() bool { _, _, ends := f.crew.counts(); return ends == "release, release, release" })
			p := f.dial(get("/after"))
			p.wantBody("/after")
		})
	}
}

// TestLoop_LogsWhatWasWritten: nothing, to who has left before.
func TestLoop_LogsWhatWasWritten(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, get("/slow"))
	_ = p.SetLinger(0)
	p.Close()
	f.wantUnread()
	letGo <- nil
	if e := <-f.entries; e.Status != site.StatusClientGone || e.Bytes != 0 {
		t.Errorf("logged status %d and %d bytes", e.Status, e.Bytes)
	}
}

// TestLoop_SlowClient takes an answer bit by bit; the worker is free meanwhile.
func TestLoop_SlowClient(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 9000) // it must fit the loop's buffer as base64
	f := startFrontOn(t, loopback(t, 4096), newCrew(t, 1, func(w *crewWorker, uri string) *wire.Answer {
		if uri == "/large" {
			return &wire.Answer{Status: 200, Body: []byte(large)}
		}
		return echo(w, uri)
	}), Options{})
	slow := f.narrow(get("/large"))
	until(t, "handed to a goroutine", func() bool { return !f.loop.Conns().Empty() })
	other := f.dial(get("/other"))
	other.wantBody("/other")
	slow.wantBody(large)
	f.wantMine(slow, true)

	leaving := f.narrow(get("/large"))
	until(t, "handed to a goroutine", func() bool { return !f.loop.Conns().Empty() })
	for range len(f.entries) {
		<-f.entries
	}
	leaving.Close()
	until(t, "given up", f.loop.Conns().Empty)
	if e := <-f.entries; e.Status != 200 || e.Bytes >= int64(len(large)) {
		t.Errorf("logged status %d and %d bytes, want 200 and fewer than %d", e.Status, e.Bytes, len(large))
	}

	last := f.narrow("GET /large HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
	if resp := last.wantBody(large); !resp.Close {
		t.Error("got no Connection: close")
	}
	last.wantClosed()
	_, claimed, ends := f.crew.counts()
	if strings.Contains(ends, "failed") || claimed > 100 {
		t.Errorf("the claims ended as %q", ends)
	}
}
