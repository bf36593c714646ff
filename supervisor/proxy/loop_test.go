package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

func TestLoop_AnswersSimpleRequests(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 2, func(w *crewWorker, uri string) *wire.Answer {
		if uri == "/3" {
			return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Length", "1000"}}}
		}
		return echo(w, uri)
	}), Options{})
	p := f.dial(get("/1?a=b"))
	resp := p.wantBody("/1?a=b")
	if resp.ContentLength != 6 || resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("Date") == "" || resp.Close {
		t.Errorf("got %+v", resp)
	}
	p.send("GET /2 HTTP/1.1\r\nhost:  Site.Test:80 \r\nConnection: Keep-Alive\r\nUser-Agent: tester\r\nReferer: /from\r\n\r\n")
	p.wantBody("/2")
	p.send("HEAD /3 HTTP/1.1\r\nHost: site.test\r\n\r\n")
	if resp, body := p.whole("HEAD"); resp.StatusCode != 200 || resp.ContentLength != 1000 || body != "" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	f.wantMine(p, true)
	f.wantCounts(4, 0)
	for _, want := range []string{"GET /1?a=b HTTP/1.1 200 6  ", "GET /2 HTTP/1.1 200 2 /from tester", "HEAD /3 HTTP/1.1 200 0  ", "GET /next HTTP/1.1 200 5  "} {
		e := <-f.entries
		got := fmt.Sprintf("%s %d %d %s %s", e.Line, e.Status, e.Bytes, e.Referer, e.Agent)
		if got != want || e.Client != "127.0.0.1" || e.Worker == "" || e.Time.IsZero() {
			t.Errorf("logged %q of %q by %q, want %q", got, e.Client, e.Worker, want)
		}
	}
	if got := f.site.Stats.Counts().Total; got != 4 {
		t.Errorf("counted %d, want 4", got)
	}
}

func TestLoop_ClosesWhereTheClientAsksForIt(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	for _, header := range []string{"Connection: close\r\n", "Connection: close\r\nConnection: keep-alive\r\n"} {
		p := f.dial("GET /last HTTP/1.1\r\nHost: site.test\r\n" + header + "\r\n")
		if resp := p.wantBody("/last"); !resp.Close {
			t.Errorf("%q: got no Connection: close", header)
		}
		p.wantClosed()
	}
	f.wantCounts(2, 0)
}

// TestLoop_DetachesWhatIsNotSimple: the loop detaches a request that is not simple, and
// gets the connection back.
func TestLoop_DetachesWhatIsNotSimple(t *testing.T) {
	t.Parallel()
	simple := "Host: site.test\r\n\r\n"
	tests := []struct {
		name, first, rest string // rest: when the loop has given first away
		status            []int
		body              string
		asked, claimed    int
		mine              bool // afterwards
	}{
		{name: "POST", first: "POST /a HTTP/1.1\r\nContent-Length: 5\r\n" + simple + "hello", status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "POST without a body", first: "POST /a HTTP/1.1\r\nContent-Length: 0\r\n" + simple, status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "POST in two packets", first: "POST /a HTTP/1.1\r\nContent-Length: 5\r\n" + simple + "he", rest: "llo", status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "large POST", first: "POST /a HTTP/1.1\r\nContent-Length: 300000\r\n" + simple, rest: strings.Repeat("x", 300000), status: []int{200}, body: "/a", claimed: 1, mine: true},
		{name: "POST in chunks", first: "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + simple + "1\r\nx\r\n0\r\n\r\n", status: []int{200}, body: "/a", claimed: 1, mine: true},
		{name: "GET with a body", first: "GET /a HTTP/1.1\r\nContent-Length: 5\r\n" + simple + "hello", status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "percent", first: "GET /a%20b HTTP/1.1\r\n" + simple, status: []int{200}, body: "/a%20b", asked: 1, mine: true},
		{name: "header twice", first: "GET /a HTTP/1.1\r\nX-A: b\r\nx-a: c\r\n" + simple, status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "Pragma", first: "GET /a HTTP/1.1\r\nPragma: no-cache\r\n" + simple, status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "PUT whose body comes later", first: "PUT /a HTTP/1.1\r\nContent-Length: 100000\r\n" + simple, rest: strings.Repeat("x", 100000), status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "a body and the next request", first: "POST /a HTTP/1.1\r\nContent-Length: 5\r\n" + simple + "he", rest: "lloGET /a HTTP/1.1\r\n" + simple, status: []int{200, 200}, body: "/a", asked: 2, mine: true},
		{name: "a body and half a request", first: "POST /a HTTP/1.1\r\nContent-Length: 5\r\n" + simple + "helloGET /a HT", rest: "TP/1.1\r\n" + simple, status: []int{200, 200}, body: "/a", asked: 2, mine: true},
		{name: "TE", first: "GET /a HTTP/1.1\r\nTE: trailers\r\n" + simple, status: []int{200}, body: "/a", claimed: 1, mine: true},
		{name: "percent alone", first: "GET /a% HTTP/1.1\r\n" + simple, status: []int{400}},
		{name: "HTTP/1.0", first: "GET /a HTTP/1.0\r\n" + simple, status: []int{200}, body: "/a", claimed: 1},
		{name: "HTTP/1.0, keep-alive", first: "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n" + simple, status: []int{200}, body: "/a", claimed: 1, mine: true},
		{name: "head in two packets", first: "GET /a HTTP/1.1\r\nHo", rest: "st: site.test\r\n\r\n", status: []int{200}, body: "/a", asked: 1, mine: true},
		{name: "large head", first: "GET /a HTTP/1.1\r\nX-A: " + strings.Repeat("a", 20000) + "\r\n" + simple, status: []int{200}, body: "/a", claimed: 1, mine: true},
		{name: "two at once", first: "GET /a HTTP/1.1\r\n" + simple + "GET /a HTTP/1.1\r\n" + simple, status: []int{200, 200}, body: "/a", asked: 2, mine: true},
		{name: "one and a half", first: "GET /a HTTP/1.1\r\n" + simple + "GET /a HT", rest: "TP/1.1\r\n" + simple, status: []int{200, 200}, body: "/a", asked: 2, mine: true},
		{name: "unknown host", first: "GET /a HTTP/1.1\r\nHost: other.test\r\n\r\n", status: []int{421}, mine: true},
		{name: "bad host", first: "GET /a HTTP/1.1\r\nHost: site..test\r\n\r\n", status: []int{400}, mine: true},
		{name: "impossible host", first: "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", status: []int{400}},
		{name: "no host", first: "GET /a HTTP/1.1\r\n\r\n", status: []int{400}},
		{name: "two hosts", first: "GET /a HTTP/1.1\r\nHost:\r\n" + simple, status: []int{400}},
		{name: "no HTTP", first: "hello\r\n\r\n", status: []int{400}},
		{name: "OPTIONS *", first: "OPTIONS * HTTP/1.1\r\n" + simple, status: []int{200}, mine: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, newCrew(t, 1, echo), Options{})
			p := f.dial(test.first)
			if test.rest != "" {
				until(t, "read", func() bool { return !f.loop.Conns().Empty() || f.kept() > 0 })
				p.send(test.rest)
			}
			var resp *http.Response
			for _, want := range test.status {
				var body string
				if resp, body = p.whole("GET"); resp.StatusCode != want || want == 200 && body != test.body {
					t.Fatalf("got %d %.200q, want %d %q", resp.StatusCode, body, want, test.body)
				}
			}
			f.wantCounts(test.asked, test.claimed)
			if resp.Close || resp.ProtoMinor == 0 && resp.Header.Get("Connection") != "keep-alive" {
				p.wantClosed()
				return
			}
			f.wantMine(p, test.mine)
		})
	}
}

// wantDetached waits until the loop has detached the one connection that it had.
func (f *front) wantDetached() {
	f.tb.Helper()
	until(f.tb, "detached", func() bool { return !f.loop.Conns().Empty() })
}

func TestLoop_LeavesTheseSitesToNetHTTP(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*site.Site)
	}{
		"nobody to ask": {func(s *site.Site) { s.Fast = nil }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFront(t, newCrew(t, 1, echo), Options{}, test.change)
			p := f.dial(get("/a"))
			p.wantBody("/a")
			f.wantMine(p, false)
			f.wantMine(p, false)
			f.wantCounts(0, 3)
		})
	}
}

// TestLoop_HalfClosed: who will not send any more gets its answer all the same.
func TestLoop_HalfClosed(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial(get("/slow"))
	<-began
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	letGo <- nil
	p.wantBody("/slow")
	p.wantClosed()
	f.wantCounts(1, 0)
}

// TestLoop_AnswersThatAreNotWhole: net/http carries on a request whose answer the loop
// cannot take as it is: it is too large, or has headers for the connection.
func TestLoop_AnswersThatAreNotWhole(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, func(_ *crewWorker, uri string) *wire.Answer {
		switch uri {
		case "/hop":
			return &wire.Answer{Status: 200, Fields: [][2]string{{"Connection", "X-A"}, {"X-A", "a"}}, Body: []byte(uri)}
		case "/large":
			return &wire.Answer{Status: 200, Body: []byte(strings.Repeat("x", fastloop.BufferSize))}
		case "/interim":
			return &wire.Answer{Status: 200, Fields: [][2]string{{"Upgrade", "a"}}, Body: []byte(uri)}
		}
		return echo(nil, uri)
	}), Options{})
	p := f.dial(get("/hop"))
	if resp := p.wantBody("/hop"); resp.Header.Get("X-A") != "" {
		t.Errorf("got %v", resp.Header)
	}
	f.wantMine(p, true)
	p.send(get("/large"))
	p.wantBody(strings.Repeat("x", fastloop.BufferSize))
	f.wantMine(p, true)
	p.send(get("/interim"))
	p.wantBody("/interim")
	f.wantMine(p, true)
}
