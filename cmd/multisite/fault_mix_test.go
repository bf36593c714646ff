package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const mixSites = `listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
wsgi = "mix.wsgi"
warmup = []
processes = 2
listen_backlog = 500
env = { BEGUN = "begun" }
[site.one]
server_name = "one.example.com"
[site.two]
server_name = "two.example.com"
`

// mixScript answers with the site, the path and the body, in the way that the query says,
// and records each request that must not be begun twice.
const mixScript = `
import os
import time

log = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def application(environ, start_response):
    how = environ["QUERY_STRING"]
    if environ["REQUEST_METHOD"] == "POST":
        os.write(log, environ["PATH_INFO"].encode() + b"\n")
    body = "|".join((environ["HTTP_HOST"], environ["PATH_INFO"], "")).encode() + environ["wsgi.input"].read()
    if how.startswith("sleep"):
        time.sleep(float(how[5:]))
    if how == "raises":
        raise ValueError(how)
    if how == "large":
        body += b"." * 200000
    headers = [("X-Path", environ["PATH_INFO"])]
    if how in ("204", "304"):
        start_response(how + " Bodiless", headers)
        return [b"not to be sent"]
    if how == "pieces":
        start_response("200 OK", headers)
        return iter((body[:5], body[5:9], body[9:]))
    start_response("200 OK", headers + [("Content-Length", str(len(body)))])
    return [body + b"more" if how == "surplus" else body]
`

// mixWays are the queries of those requests that are not plain ones.
var mixWays = []string{"sleep0.02", "sleep0.08", "204", "304", "pieces", "surplus", "raises", "large", "", "", ""}

// TestFault_MixedTraffic (E15) sends requests of all kinds at once, from clients that
// disconnect, send a request in two halves, or several at a time. Each gets its own answer,
// soon; other answers are counted.
func TestFault_MixedTraffic(t *testing.T) {
	t.Parallel()
	clients, lasts := 16, 2*time.Second
	if longForm() {
		clients, lasts = 48, time.Minute
	}
	r := newRunning(t, newDir(t, mixSites))
	writeFile(t, filepath.Join(r.dir, "mix.wsgi"), mixScript)
	r.start()
	t.Cleanup(r.finish)
	m := &mix{running: r, counts: map[string]int{}}
	m.run(clients, lasts, func() {})
	m.want("in peace", 0)
	m.run(clients, lasts, m.operate)
	m.want("while sites are restarted, scaled and upgraded", 0)
	kills := 0
	m.run(clients, lasts, func() { kills += m.kill() })
	m.want("while workers are killed", kills)
	m.wantOnce()
}

// mix is a supervisor whose clients record what they get.
type mix struct {
	*running

	mu sync.Mutex
	// mu protects the fields below
	counts   map[string]int // of answers, by status
	sent     int            // requests
	operated int
}

// run lets clients send requests for a while and calls step meanwhile.
func (m *mix) run(clients int, lasts time.Duration, step func()) {
	m.t.Helper()
	until := time.Now().Add(lasts)
	var all sync.WaitGroup
	for i := range clients {
		c := &mixed{mix: m, plain: i%2 == 0}
		all.Go(func() {
			for time.Now().Before(until) && !m.t.Failed() {
				c.exchange()
			}
			c.disconnect()
		})
	}
	for time.Now().Before(until) && !m.t.Failed() {
		step()
		<-time.After(200 * time.Millisecond) // steps are that far apart
	}
	all.Wait()
}

// want checks that each request got its answer, except those whose worker was killed.
func (m *mix) want(when string, killed int) {
	m.t.Helper()
	m.t.Logf("%s: %v", when, m.counts)
	if m.counts["200"] == 0 || m.counts["cut"] > killed || m.counts["502"] > killed {
		m.t.Errorf("%s: got %v, want no answer cut or 502 but of %d workers that were killed", when, m.counts, killed)
	}
	m.counts = map[string]int{}
}

// wantOnce checks that no POST was begun twice.
func (m *mix) wantOnce() {
	m.t.Helper()
	seen := map[string]bool{}
	for path := range strings.FieldsSeq(readFile(m.t, filepath.Join(m.dir, "begun"))) {
		if seen[path] {
			m.t.Errorf("POST %s was begun twice", path)
		}
		seen[path] = true
	}
}

// operate does the next of an operator's actions.
func (m *mix) operate() {
	m.operated++
	switch m.operated % 4 {
	case 1:
		m.must("restart", "one")
	case 2:
		m.must("scale", "two", "3")
	case 3:
		m.must("scale", "two", "2")
	default:
		m.upgrade()
	}
}

// kill kills a worker that is ready. It returns how many were ready.
func (m *mix) kill() int {
	for _, w := range m.site([]string{"one", "two"}[rand.IntN(2)]).Workers {
		if w.PID > 0 && w.State != "starting" && syscall.Kill(w.PID, syscall.SIGKILL) == nil {
			return 1
		}
	}
	return 0
}

func (m *mix) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

func (m *mix) nextPath() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	return fmt.Sprint("/", m.sent)
}

// mixed is a client. A plain one sends a simple request after the other.
type mixed struct {
	*mix
	plain bool
	conn  net.Conn // nil if it is closed
	in    *bufio.Reader
}

// mixedRequest is a request and its expected answer.
type mixedRequest struct{ method, host, path, query, body string }

func (c *mixed) request() mixedRequest {
	q := mixedRequest{method: http.MethodGet, host: []string{"one", "one", "two"}[rand.IntN(3)] + ".example.com", path: c.nextPath()}
	if c.plain {
		return q
	}
	if rand.IntN(6) == 0 {
		q.query = mixWays[rand.IntN(len(mixWays))]
	}
	switch rand.IntN(10) {
	case 0:
		q.method = http.MethodHead
	case 1:
		q.method, q.body = http.MethodPost, strings.Repeat("b", rand.IntN(3000))
	}
	return q
}

func (q mixedRequest) String() string {
	head := fmt.Sprintf("%s %s?%s HTTP/1.1\r\nHost: %s\r\n", q.method, q.path, q.query, q.host)
	switch {
	case q.method != http.MethodPost:
		return head + "\r\n"
	case len(q.body) == 0 || len(q.body)%2 == 1:
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(q.body), q.body)
	}
	return fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(q.body), q.body)
}

// exchange sends one request or several, and reads the answers.
func (c *mixed) exchange() {
	if c.conn == nil {
		var err error
		if c.conn, err = net.Dial("tcp", c.addr); err != nil {
			c.t.Error(err)
			return
		}
		c.in = bufio.NewReader(c.conn)
	}
	requests := []mixedRequest{c.request()}
	for !c.plain && rand.IntN(12) == 0 && len(requests) < 4 {
		requests = append(requests, c.request())
	}
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second)) // of a TCP connection; only a hang takes so long
	if !c.send(requests) {
		c.disconnect()
		return
	}
	for _, q := range requests {
		if !c.answered(q) {
			c.disconnect()
			return
		}
	}
}

// send reports whether the client stays for the answers.
func (c *mixed) send(requests []mixedRequest) (stays bool) {
	var b bytes.Buffer
	for _, q := range requests {
		b.WriteString(q.String())
	}
	if !c.plain && rand.IntN(20) == 0 { // a part of it comes later, or never
		_, _ = io.CopyN(c.conn, &b, int64(rand.IntN(b.Len()))) // the answers show whether it arrived
		<-time.After(time.Duration(rand.IntN(10)) * time.Millisecond)
		if rand.IntN(3) == 0 {
			return false
		}
	}
	_, _ = b.WriteTo(c.conn)
	return c.plain || rand.IntN(25) > 0
}

func (c *mixed) disconnect() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// answered reads, checks and counts the answer to q. It returns false if the connection has
// ended.
func (c *mixed) answered(q mixedRequest) bool {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: q.method})
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
	}
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		c.t.Errorf("%s %s?%s: no answer", q.method, q.path, q.query)
		return false
	case err != nil:
		c.count("cut")
		return false
	}
	c.count(fmt.Sprint(resp.StatusCode))
	if !q.fits(resp, string(body)) {
		c.t.Errorf("%s %s %s?%s: got %d %v %.100q", q.method, q.host, q.path, q.query, resp.StatusCode, resp.Header, body)
	}
	return !resp.Close
}

// fits reports whether it is the right answer, or a 502, which want counts.
func (q mixedRequest) fits(resp *http.Response, body string) bool {
	want := q.host + "|" + q.path + "|" + q.body
	switch {
	case resp.StatusCode == http.StatusBadGateway:
		return true
	case q.query == "raises":
		return resp.StatusCode == http.StatusInternalServerError
	case resp.Header.Get("X-Path") != q.path:
		return false
	case q.query == "204" || q.query == "304":
		return fmt.Sprint(resp.StatusCode) == q.query && body == ""
	case q.method == http.MethodHead:
		return resp.StatusCode == 200 && body == ""
	}
	return resp.StatusCode == 200 && strings.TrimRight(body, ".") == want
}
