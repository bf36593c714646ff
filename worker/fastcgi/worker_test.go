package fastcgi

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/multisite/multisite/worker/fastcgi/fastcgitest"
	"github.com/multisite/multisite/worker/wire"
)

// pythonWorker is the real worker. It answers each request with its URI, and /gate only
// when the test lets it.
type pythonWorker struct {
	t      *testing.T
	client *Client
	watch  *watching
	gate   chan bool
	atGate chan bool

	mu    sync.Mutex
	begun map[string]int // mu protects it
}

func newPythonWorker(t *testing.T) *pythonWorker {
	t.Helper()
	w := &pythonWorker{t: t, watch: newWatching(t), gate: make(chan bool), atGate: make(chan bool), begun: map[string]int{}}
	started := fastcgitest.Start(t, func(uri string) *wire.Answer {
		w.mu.Lock()
		w.begun[uri]++
		w.mu.Unlock()
		if strings.HasPrefix(uri, "/gate") {
			w.atGate <- true
			<-w.gate
		}
		return &wire.Answer{Status: 200, Body: []byte(uri)}
	})
	w.client = NewClient(Options{Socket: started.Socket, Packed: true})
	t.Cleanup(func() { w.client.Close(); w.watch.checkNone() })
	if err := w.client.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !w.client.idle[0].followers {
		t.Fatal("it does not accept followers")
	}
	return w
}

func (w *pythonWorker) send(uri string, follower bool) *Sent {
	w.t.Helper()
	return w.sendBody(uri, "", follower)
}

func (w *pythonWorker) sendBody(uri, body string, follower bool) *Sent {
	w.t.Helper()
	send := w.client.Send
	if follower {
		send = w.client.SendFollower
	}
	s := send(withBody(newRequest(w.t, "POST", uri, body), body), w.watch)
	if s.Outcome() != wire.Written {
		w.t.Fatalf("%s was not sent: %v", uri, s.err)
	}
	return s
}

// wantAnswer receives the answer, as often as something has arrived.
func (w *pythonWorker) wantAnswer(s *Sent, uri string) {
	w.t.Helper()
	w.wantAnswerTo(s, uri, "")
}

// wantAnswerTo is wantAnswer of a request with a body.
func (w *pythonWorker) wantAnswerTo(s *Sent, uri, body string) {
	w.t.Helper()
	for buf := wire.NewBuffer(64 << 10); ; {
		a, err := receiveAll(s, buf)
		switch {
		case err != nil:
			w.t.Fatalf("%s: %v", uri, err)
		case a == nil:
			ready(w.t, s.FD())
		case string(a.Body) != uri, digestOf(a.Fields) != digest(body):
			w.t.Fatalf("%s: got %q, with the digest of its body: %v", uri, a.Body, digestOf(a.Fields) == digest(body))
		default:
			return
		}
	}
}

// digest is what the worker says of a body.
func digest(body string) string {
	if body == "" {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
}

func digestOf(fields [][2]string) string {
	for _, f := range fields {
		if f[0] == "X-Body" {
			return f[1]
		}
	}
	return ""
}

func (w *pythonWorker) wantAwaited(s *Sent, uri string) {
	w.t.Helper()
	w.wantAwaitedTo(s, uri, "")
}

func (w *pythonWorker) wantAwaitedTo(s *Sent, uri, sent string) {
	w.t.Helper()
	resp, err := s.Await(newRequest(w.t, "GET", uri, ""))
	if err != nil {
		w.t.Fatalf("%s: %v", uri, err)
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Body.Close(); err != nil || string(body) != uri || resp.Header.Get("X-Body") != digest(sent) {
		w.t.Fatalf("%s: got %q (%v), with the digest %q", uri, body, err, resp.Header.Get("X-Body"))
	}
}

func (w *pythonWorker) wantBegun(once ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, uri := range once {
		if w.begun[uri] != 1 {
			w.t.Errorf("%s was begun %d times, want once", uri, w.begun[uri])
		}
	}
	if len(w.begun) != len(once) {
		w.t.Errorf("got %v begun, want %v", w.begun, once)
	}
}

// TestWorker_SendsWhatTheFakeSends compares the bytes of the real worker with those of
// the fake in other tests.
func TestWorker_SendsWhatTheFakeSends(t *testing.T) {
	t.Parallel()
	w := newPythonWorker(t)
	sent := []*Sent{w.send("/gate", false), w.send("/b", true), w.send("/c", true), w.send("/d", true)}
	<-w.atGate
	if sent[0].Recall() || !sent[3].Recall() || !sent[2].Recall() {
		t.Fatal("want the last two recalled, and never the head")
	}
	w.gate <- true
	content := func(body string) string {
		return fmt.Sprintf("Status: 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	said := func(id int, body string) string {
		c := content(body)
		return rec(typeStdout, id, c, -len(c)&7) + rec(typeStdout, id, "", 0) + end(id)
	}
	want := said(1, "/gate") + said(2, "/b") + skipped(3) + skipped(4)
	got := ""
	for buf := make([]byte, 4096); len(got) < len(want); {
		ready(t, sent[0].FD())
		n, _, err := sent[0].conn.bare.Read(buf)
		if err != nil || n == 0 {
			t.Fatalf("after %q: %d (%v)", got, n, err)
		}
		got += string(buf[:n])
	}
	if strings.ReplaceAll(got, "\x00", "P") != strings.ReplaceAll(want, "\x00", "P") { // the fake pads with P
		t.Errorf("got  %q\nwant %q", got, want)
	}
	sent[0].conn.close()
	w.wantBegun("/gate", "/b")
}

// TestWorker_Recall: the next request on the connection, whatever its kind, drops the skip
// records.
func TestWorker_Recall(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(w *pythonWorker){
		"Receive": func(w *pythonWorker) { w.wantAnswer(w.send("/next", false), "/next") },
		"Await":   func(w *pythonWorker) { w.wantAwaited(w.send("/next", false), "/next") },
		"RoundTrip": func(w *pythonWorker) {
			if _, body, err := fetch(w.client, newRequest(w.t, "POST", "/next", "name=value")); err != nil || body != "/next" {
				w.t.Fatalf("got %q (%v)", body, err)
			}
		},
	} {
		for _, waits := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", after a request that is waited for: ", waits), func(t *testing.T) {
				t.Parallel()
				w := newPythonWorker(t)
				first := w.send("/gate", false)
				sent := []*Sent{w.send("/b", true), w.send("/c", true)}
				<-w.atGate
				if !sent[1].Recall() || !sent[0].Recall() {
					t.Fatal("not recalled")
				}
				if waits {
					first.CloseLine()
					go func() { w.gate <- true }()
					w.wantAwaited(first, "/gate")
				} else {
					w.gate <- true
					w.wantAnswer(first, "/gate")
				}
				next(w)
				w.wantBegun("/gate", "/next")
				if idle(w.client) != 1 || len(w.client.open) != 1 {
					t.Errorf("got %d idle of %d connections, want one", idle(w.client), len(w.client.open))
				}
			})
		}
	}
}

// TestWorker_RecallAtAnyTime recalls requests while the worker works on its line: each is
// either recalled or answered, and begun once or not at all.
func TestWorker_RecallAtAnyTime(t *testing.T) {
	t.Parallel()
	w := newPythonWorker(t)
	var once []string
	n := 0
	for range 300 {
		line, bodies := map[*Sent]string{}, map[*Sent]string{}
		var sent []*Sent
		for i := range 1 + rand.IntN(6) {
			n++
			uri := "/" + strconv.Itoa(n)
			if i > 0 && len(w.client.busy.parser.recalled) > 0 {
				break // no follower is accepted yet
			}
			body := patterned([]int{0, 1, 2000, maxCopied}[rand.IntN(4)])
			if i == 0 && rand.IntN(4) == 0 {
				body = patterned(100_000)
			}
			s := w.sendBody(uri, body, i > 0)
			sent, line[s], bodies[s] = append(sent, s), uri, body
		}
		keep := 1 + rand.IntN(len(sent))
		for range rand.IntN(3000) { // gives the worker a random time
		}
		for len(sent) > keep && sent[len(sent)-1].Recall() {
			sent = sent[:len(sent)-1]
		}
		for i, s := range sent {
			once = append(once, line[s])
			if i == len(sent)-1 && rand.IntN(2) == 0 {
				w.wantAwaitedTo(s, line[s], bodies[s])
				continue
			}
			w.wantAnswerTo(s, line[s], bodies[s])
		}
	}
	w.wantBegun(once...)
}
