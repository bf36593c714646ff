package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// kinds are requests as clients send them, by what the log calls them: all that differ in
// where they end, or who reads them.
var kinds = []struct{ method, head, body string }{
	{"GET", "", ""},
	{"HEAD", "", ""},
	{"POST", "Content-Length: 0\r\n", ""},
	{"POST", "Content-Length: 20\r\n", "\r\n\r\nGET / HTTP/1.1\r\n"},
	{"GET", "Content-Length: 3\r\n", "\r\n\r"},
	{"PUT", "Content-Length: 9000\r\n", strings.Repeat("\r\n0\r\n\r\n\r\n", 1000)},
	{"POST", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
	{"POST", "Transfer-Encoding: chunked\r\n", "1\r\nx\r\n000A;a=b;c=\"d\"\r\n0\r\n\r\nGET /\r\n0\r\n\r\n"},
	{"POST", "Transfer-Encoding: Chunked\r\nTrailer: X-A\r\n", "2 \r\n\r\n\r\n00\r\nX-A: b\r\nX-B: \r\n\r\n"},
	{"POST", "Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"},
	{"POST", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "5\r\nhello\r\n0\r\n\r\n"},
	{"DELETE", "X-A: b\r\nX-A: c\r\n", ""},
	{"OPTIONS", "", ""},
	{"OPTIONS", "", ""}, // of *
}

// script is what one client sends and wants to hear.
type script struct {
	text string
	ends []int    // of its requests
	want []string // "POST /1/2"; "OPTIONS *" is answered without a worker
}

// newScript writes some requests, and empty lines between them.
func newScript(random *rand.Rand, n int) (s script) {
	for i := range 2 + random.IntN(5) {
		kind := random.IntN(len(kinds))
		k, uri := kinds[kind], fmt.Sprintf("/%d/%d", n, i)
		if kind == len(kinds)-1 {
			uri = "*"
		}
		s.text += strings.Repeat("\r\n", max(0, random.IntN(4)-1))
		s.text += k.method + " " + uri + " HTTP/1.1\r\nHost: site.test\r\n" + k.head + "\r\n" + k.body
		s.ends = append(s.ends, len(s.text))
		s.want = append(s.want, k.method+" "+uri)
	}
	return s
}

// answers reads those of the requests in what was sent.
func (s *script) answers(p *peer, from, to int) {
	p.tb.Helper()
	for i, what := range s.want {
		if s.ends[i] <= from || s.ends[i] > to {
			continue
		}
		method, uri, _ := strings.Cut(what, " ")
		resp, _ := p.whole(method)
		for resp.StatusCode == http.StatusContinue {
			resp, _ = p.whole(method)
		}
		if got := resp.Header.Get("X-URI"); resp.StatusCode != 200 || resp.Close || got != uri && uri != "*" {
			p.tb.Errorf("%s: got %d to %q, close %v", what, resp.StatusCode, got, resp.Close)
		}
	}
}

func named(_ *crewWorker, uri string) *wire.Answer {
	return &wire.Answer{Status: 200, Fields: [][2]string{{"X-URI", uri}}}
}

// done counts what the workers were asked to do.
func (c *crew) done(counts map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claim := range c.claims {
		counts[claim.what]++
	}
}

// TestServer_AdoptPipelines moves connections in the middle of what their clients send:
// each request is done once, by one server or the other.
func TestServer_AdoptPipelines(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	const clients = 300
	patient := Options{Timeouts: Timeouts{Header: time.Hour}} // with half a head
	before, after := startFront(t, newCrew(t, 2, named), patient), startFront(t, newCrew(t, 2, named), patient)
	random := rand.New(rand.NewPCG(1, 2))
	var scripts []script
	var peers []*peer
	var cuts []int
	for n := range clients {
		s := newScript(random, n)
		cut := s.cut(random)
		scripts, cuts = append(scripts, s), append(cuts, cut)
		peers = append(peers, before.dial(s.text[:cut]))
	}
	for n, s := range scripts {
		s.answers(peers[n], 0, cuts[n])
	}
	until(t, "read", func() bool { return before.clients() == clients })
	if err := before.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	before.moveTo(after, clients)
	before.end()
	for n, s := range scripts {
		peers[n].send(s.text[cuts[n]:])
		s.answers(peers[n], cuts[n], len(s.text))
	}
	counts := map[string]int{}
	before.crew.done(counts)
	after.crew.done(counts)
	wantOnce(t, scripts, counts)
	for _, p := range peers {
		p.wantSilence()
	}
}

// cut returns where the client pauses: in the head of a request, before or behind it. In
// a body nobody would be waiting.
func (s *script) cut(random *rand.Rand) int {
	for {
		cut := 1 + random.IntN(len(s.text)-1)
		for i, end := range s.ends {
			start := 0
			if i > 0 {
				start = s.ends[i-1]
			}
			head := start + strings.Index(s.text[start:], "Host: ")
			head += strings.Index(s.text[head:], "\r\n\r\n") + 4
			if start < cut && cut < head || cut == end {
				return cut
			}
		}
	}
}

func wantOnce(t *testing.T, scripts []script, counts map[string]int) {
	t.Helper()
	for _, s := range scripts {
		for _, what := range s.want {
			if what != "OPTIONS *" && counts[what] != 1 {
				t.Errorf("%s was done %d times", what, counts[what])
			}
			delete(counts, what)
		}
	}
	if len(counts) > 0 {
		t.Errorf("done, too: %v", counts)
	}
}

// TestServer_AdoptBehindARequest: a request was under way when the pause began. The
// other server answers what came behind it.
func TestServer_AdoptBehindARequest(t *testing.T) {
	t.Parallel()
	const post = "POST /next HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx"
	loops, nets, chunks := get("/slow"), strings.Replace(strings.Replace(post, "/next", "/slow", 1), "Host", "TE: trailers\r\nHost", 1), strings.Replace(chunked, "/a", "/slow", 1)
	for name, test := range map[string]struct{ first, during, rest string }{
		"at once, of the loop":        {loops + "\r\n" + post, "", ""},
		"at once, behind a body":      {strings.Replace(post, "/next", "/slow", 1) + "\r\n" + post, "", ""},
		"at once, of net/http":        {nets + "\r\n" + post, "", ""},
		"at once, behind chunks":      {chunks + post, "", ""},
		"during, of the loop":         {loops, "\r\n" + post, ""},
		"during, of net/http":         {nets, "\r\n" + post, ""},
		"during, behind chunks":       {chunks, post, ""},
		"during, behind a body":       {strings.Replace(post, "/next", "/slow", 1), post, ""},
		"half of a head, of the loop": {loops + post[:9], post[9:20], post[20:]},
		"half of a head, of net/http": {nets, post[:9], post[9:]},
		"half of a head, chunks":      {chunks + post[:1], post[1:3], post[3:]},
		"half of an empty line":       {nets + "\r", "", "\n" + post},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, began, letGo := gated()
			before, after := startFront(t, newCrew(t, 2, d), Options{}), startFront(t, newCrew(t, 2, echo), Options{})
			p := before.dial(test.first)
			<-began
			p.send(test.during)
			paused := make(chan error)
			go func() { paused <- before.Pause(t.Context()) }()
			until(t, "pausing", before.isPaused)
			letGo <- nil
			p.wantBody("/slow")
			if err := <-paused; err != nil {
				t.Fatal(err)
			}
			before.moveTo(after, 1)
			before.end()
			p.send(test.rest)
			p.wantBody("/next")
			after.wantMine(p, true)
			counts := map[string]int{}
			before.crew.done(counts)
			after.crew.done(counts)
			delete(counts, "GET /next") // of wantMine
			if len(counts) != 2 || counts["POST /next"] != 1 {
				t.Errorf("done: %v", counts)
			}
		})
	}
}

// TestLoop_KnowsWhoHasReset: the loop notices that a client has reset a connection
// whose request goes on in net/http.
func TestLoop_KnowsWhoHasReset(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial(get("/slow"))
	<-began
	_ = p.SetLinger(0)
	p.Close()
	f.wantDetached()
	letGo <- nil
	if e := <-f.entries; e.Client != "127.0.0.1" {
		t.Errorf("logged %q", e.Client)
	}
}
