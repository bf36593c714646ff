package proxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// tally counts how often each request was begun. The first of /slow waits for letGo.
type tally struct {
	mu      sync.Mutex
	begun   map[string]int // mu protects it
	slow    chan *crewWorker
	letGo   chan struct{}
	letting sync.Once
	hire    hires
	instead func(uri string) *wire.Answer // of /slow, once it is let go; nil: echo
}

func newTally(hire hires) *tally {
	return &tally{hire: hire, begun: map[string]int{}, slow: make(chan *crewWorker, 100), letGo: make(chan struct{})}
}

func (c *tally) does(w *crewWorker, uri string) *wire.Answer {
	c.mu.Lock()
	c.begun[uri]++
	first := c.begun[uri] == 1
	c.mu.Unlock()
	if uri == "/slow" && first {
		c.slow <- w
		<-c.letGo
		if c.instead != nil {
			return c.instead(uri)
		}
	}
	return echo(w, uri)
}

// let lets /slow go, once.
func (c *tally) let() { c.letting.Do(func() { close(c.letGo) }) }

// wantOnce checks that each request was begun once, or as often as times says.
func (c *tally) wantOnce(t *testing.T, requests int, times map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.begun) != requests {
		t.Errorf("%d requests were begun, want %d", len(c.begun), requests)
	}
	for uri, n := range c.begun {
		if want := max(times[uri], 1); n != want {
			t.Errorf("%s was begun %d times, want %d", uri, n, want)
		}
	}
}

// inLine lets one request keep the only worker, and n others wait behind it.
func inLine(t *testing.T, c *tally, workers, n int) (f *front, slow *peer, others []*peer) {
	t.Helper()
	crew := newCrewOf(t, c.hire, workers, c.does)
	crew.followers = n
	f = startFront(t, crew, Options{})
	t.Cleanup(c.let)
	slow = f.dial(get("/slow"))
	<-c.slow
	for i := range n {
		others = append(others, f.dial(get(fmt.Sprint("/", i))))
	}
	until(t, "in line", func() bool { asked, _, _ := crew.counts(); return asked+crew.queued() > n })
	return f, slow, others
}

func wantAll(others []*peer) {
	for i, p := range others {
		p.wantBody(fmt.Sprint("/", i))
	}
}

// TestLoop_FollowersInOrder: what waits behind a request is answered after it, by the same
// worker, which is asked no more.
func TestLoop_FollowersInOrder(t *testing.T) { t.Parallel(); eachWorker(t, followersInOrder) }

func followersInOrder(t *testing.T, hire hires) {
	c := newTally(hire)
	c.let()
	f, slow, others := inLine(t, c, 1, 5)
	slow.wantBody("/slow")
	wantAll(others)
	c.wantOnce(t, 6, nil)
	if _, _, ends := f.crew.counts(); strings.Contains(ends, "failed") {
		t.Errorf("claims ended as %s", ends)
	}
}

// TestLoop_FollowerIsRecalled: a follower is recalled from a worker that takes long,
// and goes to another one.
func TestLoop_FollowerIsRecalled(t *testing.T) { t.Parallel(); eachWorker(t, followerIsRecalled) }

func followerIsRecalled(t *testing.T, hire hires) {
	c := newTally(hire)
	f, slow, others := inLine(t, c, 1, 5)
	f.crew.grow()
	wantAll(others)
	c.let()
	slow.wantBody("/slow")
	c.wantOnce(t, 6, nil)
}

// TestLoop_FollowersOfWhatIsDetached: the followers of a request that is detached queue
// again, however its answer arrives.
func TestLoop_FollowersOfWhatIsDetached(t *testing.T) {
	t.Parallel()
	eachWorker(t, followersOfWhatIsDetached)
}

func followersOfWhatIsDetached(t *testing.T, hire hires) {
	for name, answer := range map[string]func(string) *wire.Answer{
		"simple": nil,
		"no simple": func(uri string) *wire.Answer {
			return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Length", "x"}}, Body: []byte(uri)}
		},
		"large": func(uri string) *wire.Answer {
			return &wire.Answer{Status: 200, Body: []byte(uri + strings.Repeat("x", 2*fastloop.BufferSize))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "no simple" && strings.Contains(t.Name(), "connection.py") {
				t.Skip("it never says such a thing")
			}
			c := newTally(hire)
			c.instead = answer
			f, slow, others := inLine(t, c, 1, 5)
			f.wantDetached()
			c.let()
			if _, body := slow.whole("GET"); !strings.HasPrefix(body, "/slow") {
				t.Errorf("got %.40q", body)
			}
			wantAll(others)
			c.wantOnce(t, 6, nil)
		})
	}
}

// TestLoop_FollowersOfADeath: what a worker that dies has begun is repeated, what was
// behind it is begun once.
func TestLoop_FollowersOfADeath(t *testing.T) { t.Parallel(); eachWorker(t, followersOfADeath) }

func followersOfADeath(t *testing.T, hire hires) {
	c := newTally(hire)
	c.instead = func(string) *wire.Answer { return nil }
	_, slow, others := inLine(t, c, 1, 5)
	c.let()
	slow.wantBody("/slow")
	wantAll(others)
	c.wantOnce(t, 6, map[string]int{"/slow": 2})
}

// TestLoop_FollowersUnderLoad: whatever is fast, slow or in between, each request is begun
// once and answered with its own answer.
func TestLoop_FollowersUnderLoad(t *testing.T) { t.Parallel(); eachWorker(t, followersUnderLoad) }

func followersUnderLoad(t *testing.T, hire hires) {
	const clients, requests = 16, 150
	c := newTally(hire)
	crew := newCrewOf(t, hire, 3, func(w *crewWorker, uri string) *wire.Answer {
		if rand.IntN(40) == 0 {
			<-time.After(time.Duration(rand.IntN(int(2 * fastloop.DetachAfter)))) // it works so long
		}
		return c.does(w, uri)
	})
	crew.followers = clients // while there is a queue nobody goes ahead
	f := startFront(t, crew, Options{}, func(s *site.Site) { s.Access = nil })
	var all sync.WaitGroup
	for i := range clients {
		p := f.dial("")
		all.Go(func() {
			for n := range requests {
				uri := fmt.Sprintf("/%d/%d", i, n)
				p.send(get(uri))
				if resp, body := p.whole("GET"); resp.StatusCode != 200 || body != uri {
					t.Errorf("%s: got %d %.100q", uri, resp.StatusCode, body)
					return
				}
			}
		})
	}
	all.Wait()
	c.wantOnce(t, clients*requests, nil)
	_, _, ends := crew.counts()
	how := strings.Split(ends, ", ")
	if slices.Contains(how, "failed") || !slices.Contains(how, "return") {
		t.Errorf("no request was recalled, or one failed")
	}
}
