package proxy

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// TestLoop_CountsAddresses: a request counts for its address wherever it is.
func TestLoop_CountsAddresses(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 9000)
	worker := func(f *front, letGo chan *wire.Answer) { letGo <- nil }
	queue := func(f *front, _ chan *wire.Answer) { f.crew.grow() }
	queued := func(f *front, _ chan string) {
		until(f.tb, "queued", func() bool { return f.crew.queued() == 1 })
	}
	for name, test := range map[string]struct {
		uri     string
		workers int
		lingers time.Duration
		arrives func(f *front, began chan string) // where it is to be
		goesOn  func(f *front, letGo chan *wire.Answer)
	}{
		"at a worker": {"/slow", 2, time.Hour, func(_ *front, began chan string) { <-began }, worker},
		"at a worker, detached": {"/slow", 2, 0, func(f *front, began chan string) {
			<-began
			f.wantDetached()
		}, worker},
		"in the queue": {"/a", 0, time.Hour, queued, queue},
		"in the queue, detached": {"/a", 0, 0, func(f *front, _ chan string) {
			queued(f, nil)
			f.wantDetached()
		}, queue},
		"on its way to a slow client": {"/large", 2, time.Hour, func(f *front, _ chan string) { f.wantDetached() }, func(*front, chan *wire.Answer) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, began, letGo := gated()
			f := startFrontOn(t, loopback(t, 4096), newCrew(t, test.workers, func(w *crewWorker, uri string) *wire.Answer {
				if uri == "/large" {
					return &wire.Answer{Status: 200, Body: []byte(large)}
				}
				return d(w, uri)
			}), Options{}, func(s *site.Site) { s.MaxPerAddress = 1 })
			if test.lingers > 0 {
				f.delayLook(test.lingers)
			}
			first := f.narrow(get(test.uri))
			test.arrives(f, began)
			f.dial(get("/again")).wantPage(http.StatusTooManyRequests)
			other := dialFrom(t, "127.0.0.2", f.addr)
			other.send(get("/other"))
			if test.workers == 0 {
				until(t, "queued, too", func() bool { return f.crew.queued() == 2 })
			}
			test.goesOn(f, letGo)
			if resp, body := first.whole("GET"); resp.StatusCode != 200 || body != test.uri && body != large {
				t.Errorf("got %d %.100q", resp.StatusCode, body)
			}
			other.wantBody("/other")
			until(t, "ended", func() bool { return f.site.Clients.Len() == 0 })
			f.dial(get("/after")).wantBody("/after")
		})
	}
}

// TestLoop_CountsPipelines: the requests of a connection count one after the other, in
// the loop or not.
func TestLoop_CountsPipelines(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) { s.MaxPerAddress = 1 })
	p := f.dial("POST /1 HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello" + get("/2") + get("/3"))
	for _, uri := range []string{"/1", "/2", "/3"} {
		p.wantBody(uri)
	}
	f.wantMine(p, true)
	p.send(get("/4") + get("/5"))
	p.wantBody("/4")
	p.wantBody("/5")
	f.wantMine(p, true)
}
