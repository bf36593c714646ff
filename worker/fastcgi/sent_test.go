package fastcgi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

// result is the outcome of a request, and the state of its connection.
type result struct {
	status int
	reason string
	header http.Header
	body   string
	stderr []string
	kind   error // ErrMalformed, wire.ErrNotSent, io.ErrUnexpectedEOF, or nil
	idle   int   // connections afterwards
}

func kindOf(t testing.TB, err error) error {
	for _, kind := range []error{ErrMalformed, wire.ErrNotSent, io.ErrUnexpectedEOF} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if err != nil {
		t.Errorf("got error %v, want one that is known", err)
	}
	return err
}

// pair gives c an idle connection, and returns the worker's end of it.
func pair(t testing.TB, c *Client) *os.File {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20) // the test writes before it reads
	c.put(&conn{client: c, bare: wire.NewConn(fds[0])})
	worker := os.NewFile(uintptr(fds[1]), "worker's end")
	if err := worker.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return worker
}

// bySent sends a request and receives the answer, which arrives in pieces: by Receive if
// that can read it, else by Await. Then the worker exits.
func bySent(t *testing.T, method string, pieces []string) (r result, whole bool) {
	t.Helper()
	c := NewClient(Options{Socket: "absent", Stderr: func(line string) { r.stderr = append(r.stderr, line) }})
	defer c.Close()
	worker := pair(t, c)
	defer worker.Close()
	req := newRequest(t, method, "/", "")
	w := newWatching(t)
	defer w.checkNone()
	defer c.Close()
	s := c.Send(headOf(req), w)
	if s.Outcome() != wire.Written {
		t.Fatalf("not sent: %v", s.err)
	}
	buf := wire.NewBuffer(128 << 10)
	got := received{}
	for i, piece := range pieces {
		if _, err := io.WriteString(worker, piece); err != nil {
			t.Fatal(err)
		}
		if got.receive(s, buf) {
			got.result(&r)
			r.idle = idle(c)
			return r, true
		}
		if got.err == wire.ErrMustWait {
			pieces = pieces[i+1:]
			break
		}
		if i == len(pieces)-1 || got.err != nil {
			pieces = nil
			break
		}
	}
	go func() { // ends when the connection does
		_, _ = io.WriteString(worker, strings.Join(pieces, ""))
		worker.Close()
	}()
	if got.a == nil {
		resp, err := s.Await(req)
		r.take(t, c, resp, err)
		return r, false
	}
	got.rest(t, s, req)
	got.result(&r)
	r.kind, r.idle = kindOf(t, got.err), idle(c)
	return r, false
}

// received is what Receive has returned of an answer.
type received struct {
	a   *wire.Answer // nil: no head
	end bool
	err error
}

// receive receives what is here, and reports whether that is all of the answer.
func (r *received) receive(s *Sent, buf *wire.Buffer) bool {
	for more := true; more && !r.end && r.err == nil; more = s.HasBuffered() {
		var p wire.Part
		p, r.err = s.Receive(buf)
		if p.Head != nil {
			r.a = p.Head
		}
		for _, piece := range p.Body {
			r.a.Body = append(r.a.Body, piece...)
		}
		r.end = p.End
	}
	return r.end
}

// rest waits for the rest of the body.
func (r *received) rest(t *testing.T, s *Sent, req *http.Request) {
	t.Helper()
	if r.err != nil && r.err != wire.ErrMustWait {
		_ = s.Close(time.Time{}) // the same error
		return
	}
	rest, err := s.Rest(req.Context())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(rest)
	_ = rest.Close() // the same as of Read
	r.a.Body, r.err = append(r.a.Body, body...), err
}

func (r *received) result(to *result) {
	to.status, to.reason, to.body, to.header = r.a.Status, r.a.Reason, string(r.a.Body), http.Header{}
	for _, f := range r.a.Fields {
		to.header[f[0]] = append(to.header[f[0]], f[1])
	}
}

// begun has what receiveAll has of answers that are not complete yet, by *Sent.
var begun sync.Map

// receiveAll receives what is here of an answer; nil: not all of it is, yet.
func receiveAll(s *Sent, buf *wire.Buffer) (*wire.Answer, error) {
	before, _ := begun.LoadOrStore(s, &received{})
	r := before.(*received)
	r.err = nil
	if r.receive(s, buf) {
		begun.Delete(s)
		return r.a, nil
	}
	return nil, r.err
}

// byRoundTrip returns the result that bySent must have, too.
func byRoundTrip(t *testing.T, method string, pieces []string) (r result) {
	t.Helper()
	c := NewClient(Options{Socket: "absent", Stderr: func(line string) { r.stderr = append(r.stderr, line) }})
	c.put(newConn(c, &scripted{pieces: slices.Clone(pieces)}))
	resp, err := c.RoundTrip(newRequest(t, method, "/", ""))
	r.take(t, c, resp, err)
	return r
}

func (r *result) take(t *testing.T, c *Client, resp *http.Response, err error) {
	t.Helper()
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // the same as of Read
		r.status, r.header, r.body = resp.StatusCode, resp.Header, string(body)
		_, r.reason, _ = strings.Cut(resp.Status, " ")
	}
	r.kind, r.idle = kindOf(t, err), idle(c)
}

// watching is a Watcher that fails the test for a descriptor watched twice or not at all.
type watching struct {
	t testing.TB

	mu sync.Mutex
	// mu protects all below
	fds     map[int]bool
	watched int // calls of Watch
}

func newWatching(t testing.TB) *watching { return &watching{t: t, fds: map[int]bool{}} }

func (w *watching) Watch(fd int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fds[fd] {
		w.t.Errorf("descriptor %d is watched twice", fd)
	}
	w.fds[fd] = true
	w.watched++
	return nil
}

func (w *watching) Unwatch(fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fds[fd] {
		w.t.Errorf("descriptor %d is not watched", fd)
	}
	delete(w.fds, fd)
}

func (w *watching) checkNone() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.fds) > 0 {
		w.t.Errorf("still watched: %v", w.fds)
	}
}

func (w *watching) times() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watched
}

// sentTests returns the answers of the other tests, and some that only reading a complete
// answer could get wrong.
func sentTests() []answerTest {
	tests := answerTests()
	for name, wire := range malformedAnswers() {
		tests = append(tests, answerTest{name: "malformed: " + name, wire: wire})
	}
	for name, content := range map[string]string{
		"empty location":          "Location:\n\nhello",
		"empty, then a location":  "Location:\nLocation: /there\n\n",
		"location twice":          "Location: /there\nLocation:\n\n",
		"204":                     "Status: 204 No Content\n\n",
		"204 with a length":       "Status: 204\nContent-Length: 5\n\n",
		"204 with a body":         "Status: 204\n\nhello",
		"304":                     "Status: 304\nEtag: \"a\"\nContent-Length: 5\n\n",
		"304 with a body":         "Status: 304\n\nhello",
		"a length that is larger": "Content-Length: 6\n\nhello",
		"a length that is less":   "Content-Length: 4\n\nhello",
		"a length of 2^40":        "Content-Length: 1099511627776\n\nhello",
		"hop-by-hop":              "Connection: X-Name\nX-Name: a\n\nhello",
		"999":                     "Status: 999\n\nhello",
		"a reason":                "Status: 404 Nothing  to See\n\nhello",
	} {
		tests = append(tests, answerTest{name: name, wire: answer(1, content)})
		tests = append(tests, answerTest{name: "HEAD, " + name, method: "HEAD", wire: answer(1, content)})
	}
	return tests
}

func TestSent_SameAsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, test := range sentTests() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.method == "" {
				test.method = "GET"
			}
			step := 1
			if len(test.wire) > 4000 {
				step = len(test.wire) / 20
			}
			test.compare(t, []string{test.wire})
			for i := 1; i < len(test.wire); i += step {
				test.compare(t, []string{test.wire[:i], test.wire[i:]})
				test.compare(t, []string{test.wire[:i]}) // and dies
			}
			if step == 1 && !strings.HasSuffix(test.name, " END_REQUEST") { // what comes late there is for the next request
				test.compare(t, strings.Split(test.wire, ""))
			}
		})
	}
}

func (test answerTest) compare(t *testing.T, pieces []string) {
	t.Helper()
	got, whole := bySent(t, test.method, pieces)
	want := byRoundTrip(t, test.method, pieces)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("in %d pieces, the first of %d bytes, whole %v:\ngot  %.300s\nwant %.300s",
			len(pieces), len(pieces[0]), whole, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}

// TestSent_ReceivesCompleteAnswers says which answers Receive can read.
func TestSent_ReceivesCompleteAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 60000)
	tests := map[string]struct {
		method, wire string
		whole        bool
	}{
		"plain":                    {"GET", answer(1, "Content-Type: text/plain\n\nhello"), true},
		"right length":             {"GET", answer(1, "Content-Length: 5\n\nhello"), true},
		"two records":              {"GET", stdout(1, "\nhel") + stdout(1, "lo") + end(1), true},
		"head in two records":      {"GET", stdout(1, "X-A: b\n") + stdout(1, "\nhello") + end(1), true},
		"padding":                  {"GET", rec(typeStdout, 1, "\nhello", 7) + end(1), true},
		"HEAD with a length":       {"HEAD", answer(1, "Content-Length: 5\n\n"), true},
		"204":                      {"GET", answer(1, "Status: 204\n\n"), true},
		"120 KB":                   {"GET", stdout(1, "\n"+long) + answer(1, long), true},
		"STDERR":                   {"GET", rec(typeStderr, 1, "note", 0) + answer(1, "\nhello"), false},
		"wrong length":             {"GET", answer(1, "Content-Length: 6\n\nhello"), false},
		"HEAD with a body":         {"HEAD", answer(1, "\nhello"), false},
		"204 with a body":          {"GET", answer(1, "Status: 204\n\nhello"), false},
		"larger than the buffer":   {"GET", stdout(1, "\n"+long) + stdout(1, long) + answer(1, long), true},
		"no end":                   {"GET", stdout(1, "\nhello"), false},
		"hop-by-hop":               {"GET", answer(1, "Upgrade: websocket\n\n"), false},
		"more than there should":   {"GET", answer(1, "\nhello") + "x", false},
		"refused by the worker":    {"GET", stdout(1, "\n") + rec(typeEndRequest, 1, "\x00\x00\x00\x00\x01\x00\x00\x00", 0), false},
		"an answer to another one": {"GET", answer(2, "\nhello"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, whole := bySent(t, test.method, []string{test.wire}); whole != test.whole {
				t.Errorf("got %v, want %v", whole, test.whole)
			}
		})
	}
}
