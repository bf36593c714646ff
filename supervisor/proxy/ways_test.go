package proxy

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// way is one from a client to a worker.
type way struct {
	name, addr string

	mu   sync.Mutex
	seen []string // mu protects it: what workers got
}

// outcome is what came of what a client has sent.
type outcome struct {
	seen     []string
	statuses string // "200 400"
}

// newWays returns the loop, net/http behind it, and net/http alone, whose clients have
// so much time for a head, a piece of a body, and the next request.
func newWays(tb testing.TB, trusted bool, patience time.Duration) []*way {
	tb.Helper()
	o := Options{Timeouts: Timeouts{Header: patience, Idle: patience, Client: patience}}
	if trusted {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	quiet := func(s *site.Site) {
		s.Access = nil
		ruled(tb, s)
	}
	loop, crew := newWay(tb, "the loop")
	loop.addr = startFront(tb, crew, o, quiet).addr
	behind, crew := newWay(tb, "net/http behind it")
	behind.addr = startFront(tb, crew, o, quiet, func(s *site.Site) { s.Fast = nil }).addr
	bare, crew := newWay(tb, "net/http")
	tb.Cleanup(crew.close)
	st := &site.Site{Name: "site", Backend: crew}
	bare.addr = start(tb, o, site.Route{Hosts: []string{"site.test"}, Mount: "/", Site: st}).Listener.Addr().String()
	quiet(st)
	return []*way{loop, behind, bare}
}

func newWay(tb testing.TB, name string) (*way, *crew) {
	p := &way{name: name}
	c := newCrew(tb, 2, func(*crewWorker, string) *wire.Answer {
		return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Length", "0"}}}
	})
	c.sees = func(h *wire.Head) { p.note(h, string(h.Body)) }
	c.gets = func(r *http.Request) {
		addr, port, _ := net.SplitHostPort(r.RemoteAddr)
		h := &wire.Head{Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, Query: r.URL.RawQuery, Proto: r.Proto, Host: r.Host,
			Scheme: r.URL.Scheme, RemoteAddr: addr, RemotePort: port, User: r.URL.User.Username()}
		for name, values := range r.Header {
			if name != "Content-Length" {
				h.Fields = append(h.Fields, [2]string{name, strings.Join(values, wire.Separator(name))})
			}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			tb.Errorf("the body of a request that a worker got: %v", err)
		}
		p.note(h, string(body))
	}
	return p, c
}

func (p *way) note(h *wire.Head, body string) {
	seen := []string{h.Method, h.URI, h.Path, h.Query, h.Proto, h.Host, h.Scheme, h.RemoteAddr, h.User}
	var fields []string
	for _, f := range h.Fields {
		if strings.EqualFold(f[0], httphead.RequestID) {
			f[1] = maskID(f[1])
		}
		fields = append(fields, textproto.CanonicalMIMEHeaderKey(f[0])+": "+f[1])
	}
	slices.Sort(fields)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, strings.Join(append(append(seen, fields...), body), "\n"))
}

// maskID returns what tells an ID that we have made from others.
func maskID(id string) string {
	if ownID.MatchString(id) {
		return "our own"
	}
	return id
}

var ownID = regexp.MustCompile(`^[0-9a-v]{20}$`)

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d{3})`)

// lastRequest follows what a client sends: its answer shows that the connection went on.
const lastRequest = "GET /last HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n"

// talk sends text and then the last request, all at once, and reads to the end.
func (p *way) talk(text string) outcome {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return outcome{statuses: err.Error()}
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // it is a guard
	_, _ = io.WriteString(conn, text+lastRequest)     // it may be refused before its end
	answers, _ := io.ReadAll(conn)                    // net/http resets some connections
	var statuses []string
	for _, m := range statusLine.FindAllSubmatch(answers, -1) {
		if string(m[1]) != "100" {
			statuses = append(statuses, string(m[1]))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = nil
	return outcome{seen, strings.Join(statuses, " ")}
}

// difference sends text on all ways, and tells how they differ in what they make of it.
// Our two must do the same. net/http alone takes some of what we refuse, and refuses
// empty lines; but what both it and we take is to be the same request.
func difference(ways []*way, text string) string {
	outcomes := make([]outcome, len(ways))
	var all sync.WaitGroup
	for i, p := range ways {
		all.Go(func() { outcomes[i] = p.talk(text) })
	}
	all.Wait()
	loop, behind, bare := outcomes[0], outcomes[1], outcomes[2]
	common := min(len(loop.seen), len(bare.seen))
	switch {
	case loop.statuses != behind.statuses:
		return "the loop answers " + loop.statuses + ", net/http behind it " + behind.statuses
	case !slices.Equal(loop.seen, behind.seen):
		return "the loop sends\n" + strings.Join(loop.seen, "\n\n") + "\nnet/http behind it\n" + strings.Join(behind.seen, "\n\n")
	case !slices.Equal(loop.seen[:common], bare.seen[:common]):
		return "the loop sends\n" + strings.Join(loop.seen, "\n\n") + "\nnet/http alone\n" + strings.Join(bare.seen, "\n\n")
	case !refuses(loop.statuses) && !refuses(bare.statuses) && len(loop.seen) != len(bare.seen):
		return "one of both loses a request: " + loop.statuses + " and " + bare.statuses
	}
	return ""
}

func refuses(statuses string) bool { return strings.ContainsAny(statuses, "45") || statuses == "" }
